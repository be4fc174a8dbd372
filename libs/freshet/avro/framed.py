"""Reads framed values of one record, whichever version of its schema each value was written with."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from freshet.avro import Columns, Decoder, Joined, concat, take
from freshet.avro.schemas import Schema, current_schema, may_be_event_id, schema_lock
from freshet.contracts.arrays import Ints
from freshet.contracts.logic import DeadLetter

UNKNOWN = "input_schema_unknown"


class RefusedRow(NamedTuple):
    """A row that cannot be used: its index, the reason's code, a sentence, and its schema id if it has one."""

    row: int
    reason: str
    detail: str
    schema_id: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What a batch of values holds: `columns` of the rows `at`, ascending; every other row is in `refused`."""

    at: Ints
    columns: Columns
    refused: list[RefusedRow]
    schema_ids: Ints | None = None
    """The id that framed each row of `at`; None where values are not framed."""


def dead_letters(refused: Iterable[RefusedRow]) -> Iterator[DeadLetter]:
    """One effect for each reason and schema id, in a fixed order; rows ascend within each."""
    groups: dict[tuple[str, int], list[RefusedRow]] = {}
    for row in sorted(refused):
        groups.setdefault((row.reason, -1 if row.schema_id is None else row.schema_id), []).append(row)
    for (reason, _), rows in sorted(groups.items()):
        at = np.array([row.row for row in rows], np.int64)
        yield DeadLetter(at, reason, [row.detail for row in rows], rows[0].schema_id)


class FramedReader:
    """Decodes values by the id in their frame, as the reader's schema sees them."""

    @classmethod
    def of(cls, record: str, *, max_bytes: int) -> Self:
        """A reader of one of our own records, whichever of its releases wrote a value."""
        released = {entry.id: entry.schema for entry in schema_lock() if entry.record == record}
        return cls(released, current_schema(record), max_bytes=max_bytes)

    def __init__(self, writers: Mapping[int, Schema], reader: Schema, *, max_bytes: int) -> None:
        self._reader = reader
        self._max_bytes = max_bytes
        self._decoders = {
            schema_id: Decoder(schema, reader_schema=None if schema == reader else reader, max_bytes=max_bytes)
            for schema_id, schema in writers.items()
        }
        self._padding = max((decoder.padding for decoder in self._decoders.values()), default=0)

    def read(self, values: Sequence[bytes | None]) -> Rows:
        """Decode at least one value. Never raises: what cannot be read is refused, a strange id with UNKNOWN."""
        joined = Joined.of(values, self._padding)
        ids = joined.frame_ids()
        if ids.size and ids[0] in self._decoders and (ids == ids[0]).all():
            return self._of_one(int(ids[0]), values, joined)
        present = [schema_id for schema_id in np.unique(ids).tolist() if schema_id in self._decoders]
        parts: list[Rows] = []
        refused = self._unreadable(ids, joined.lengths)
        for schema_id in present or list(self._decoders)[-1:]:  # with no good row at all, the columns are empty ones
            rows = np.flatnonzero(ids == schema_id)
            part = self._of_one(schema_id, [values[row] for row in rows.tolist()])
            refused += [bad._replace(row=int(rows[bad.row])) for bad in part.refused]
            parts.append(Rows(rows[part.at], part.columns, []))
        at, columns = joined_rows(parts)
        return Rows(at, columns, refused, ids[at])

    def _of_one(self, schema_id: int, values: Sequence[bytes | None], joined: Joined | None = None) -> Rows:
        """What values hold that were all framed with this id."""
        decoded = self._decoders[schema_id].decode(values, joined=joined)
        refused = [RefusedRow(bad.row, f"input_{bad.reason}", bad.detail, schema_id) for bad in decoded.bad]
        return Rows(decoded.good, decoded.columns, refused, np.full(decoded.good.size, schema_id))

    def _unreadable(self, ids: Ints, lengths: Ints) -> list[RefusedRow]:
        strange = np.flatnonzero(~np.isin(ids, list(self._decoders)))
        return [
            self._refusal(row, schema_id, length)
            for row, schema_id, length in zip(
                strange.tolist(), ids[strange].tolist(), lengths[strange].tolist(), strict=True
            )
        ]

    def _refusal(self, row: int, schema_id: int, length: int) -> RefusedRow:
        if length <= 0:
            return RefusedRow(row, "input_empty", "the value is null." if length < 0 else "the value has no bytes.")
        if schema_id < 0:
            return RefusedRow(
                row,
                "input_framing",
                "the value does not begin with byte 00 and a schema id of four bytes (Confluent's framing). A "
                "serializer that puts the id into a header has to be set to put it before the value.",
            )
        if length > self._max_bytes:
            return RefusedRow(row, "input_too_large", f"{length} bytes, but the cap is {self._max_bytes}.", schema_id)
        known = ", ".join(map(str, self._decoders))
        why = f"nobody has published schema id {schema_id}; known are {known}."
        if not may_be_event_id(schema_id):
            why += " `freshet apply` gives no such id: give the serializer `freshet schemas serve` as its registry."
        return RefusedRow(row, UNKNOWN, why, schema_id)


def joined_rows(parts: Sequence[Rows]) -> tuple[Ints, Columns]:
    """The good rows of several parts as one, in order: their places and columns. At least one part."""
    if len(parts) == 1:
        return parts[0].at, parts[0].columns
    at = np.concatenate([part.at for part in parts])
    order = np.argsort(at)
    columns = {name: concat([part.columns[name] for part in parts]) for name in parts[0].columns}
    return at[order], {name: take(column, order) for name, column in columns.items()}
