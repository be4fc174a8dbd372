"""Reads framed values of one record, whichever version of its schema each value was written with."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Self

import numpy as np

from freshet.avro.decode import Decoder
from freshet.avro.frame import Joined
from freshet.avro.own_schemas import Schema, current_schema, may_be_event_id, schema_lock
from freshet.avro.reasons import DecodeReason, Refused, empty, too_large
from freshet.avro.rows import RefusedRow, Rows
from freshet.contracts.arrays import Ints


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
        """Decode at least one value. Never raises: what cannot be read is refused, a strange id with UNKNOWN_SCHEMA."""
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
        whole = Rows.joined(parts, refused)
        return replace(whole, schema_ids=ids[whole.at])

    def _of_one(self, schema_id: int, values: Sequence[bytes | None], joined: Joined | None = None) -> Rows:
        """What values hold that were all framed with this id."""
        rows = self._decoders[schema_id].decode(values, joined=joined)
        refused = [row._replace(schema_id=schema_id) for row in rows.refused]
        return Rows(rows.at, rows.columns, refused, np.full(rows.at.size, schema_id))

    def _unreadable(self, ids: Ints, lengths: Ints) -> list[RefusedRow]:
        strange = np.flatnonzero(~np.isin(ids, list(self._decoders)))
        told = zip(strange.tolist(), ids[strange].tolist(), lengths[strange].tolist(), strict=True)
        return [
            RefusedRow.of(row, self._why(schema_id, length), schema_id if schema_id >= 0 else None)
            for row, schema_id, length in told
        ]

    def _why(self, schema_id: int, length: int) -> Refused:
        if length <= 0:
            return empty(length)
        if schema_id < 0:
            return Refused(
                DecodeReason.FRAMING,
                "the value does not begin with byte 00 and a schema id of four bytes (Confluent's framing). A "
                "serializer that puts the id into a header has to be set to put it before the value.",
            )
        if length > self._max_bytes:
            return too_large(length, self._max_bytes)
        known = ", ".join(map(str, self._decoders))
        why = f"nobody has published schema id {schema_id}; known are {known}."
        if not may_be_event_id(schema_id):
            why += " `freshet apply` gives no such id: give the serializer `freshet schemas serve` as its registry."
        return Refused(DecodeReason.UNKNOWN_SCHEMA, why)
