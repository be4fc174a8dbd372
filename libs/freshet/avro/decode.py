"""Kafka values to columns: a fast reader for all rows at once, and the referee for those it is not sure of."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from freshet.avro.codec_time import timed
from freshet.avro.columns import Columns, take
from freshet.avro.fast import FastReader
from freshet.avro.frame import HEADER_BYTES, Joined, byte_lengths
from freshet.avro.nodes import NO_DEFAULT, Node, wire_schema
from freshet.avro.parsing import parse
from freshet.avro.plan import columns_of, plan_of
from freshet.avro.reasons import DecodeReason, Refused, empty, too_large
from freshet.avro.referee import Referee
from freshet.avro.rows import RefusedRow, Rows

_FEW_BYTES = 512
"""Batches of so few bytes go to the referee: it takes 43 µs for a feature vector, the fast reader at least 117."""

_REFEREE_ROWS = 256
"""The referee's rows become columns after so many, so that few Python objects live at a time."""


class Decoder:
    """Decodes values written with one schema, optionally as another schema's reader sees them.

    Strict: a record must fill its value exactly, and every rule of `DecodeReason` holds for the fast reader and the
    referee alike. A bad row never affects another row. Memory stays below 64 bytes per byte of input for columnar
    types; a type that needs `Objects` costs a Python object for each item, so keep such fields off the data plane.

    Raises SchemaError for a schema that `lint` objects to. A reader's schema that does not fit makes rows
    `undecodable`.
    """

    def __init__(
        self,
        writer_schema: Mapping[str, Any] | str,
        *,
        reader_schema: Mapping[str, Any] | str | None = None,
        max_bytes: int = 65536,
    ) -> None:
        writer = parse(writer_schema)
        reader = writer if reader_schema is None else parse(reader_schema)
        self._max_bytes = max_bytes
        self._project = _projection(writer, reader)
        resolved = self._project is None
        self._plan = plan_of(reader if resolved else writer)
        self._referee = Referee(writer, reader if resolved else None)
        columnar = not any(leaf.objects for leaf in self._plan)
        self._fast = FastReader(self._plan) if columnar and not resolved else None
        self._few_bytes = _FEW_BYTES

    @property
    def padding(self) -> int:
        """Zeros that `decode` needs behind values that its caller has joined."""
        return self._fast.padding if self._fast else 0

    @timed("decode")
    def decode(
        self, bodies: Sequence[bytes | None], *, offset: int = HEADER_BYTES, joined: Joined | None = None
    ) -> Rows:
        """Decode whole Kafka values, skipping `offset` bytes of framing that the caller has checked. Never raises.

        `joined` are the same values, if the caller has joined them with our `padding`: it saves doing so again.
        """
        lengths = byte_lengths(bodies) if joined is None else joined.lengths
        fitting = (lengths >= max(offset, 1)) & (lengths <= self._max_bytes)
        rows, bad = np.arange(len(bodies)), []
        if not fitting.all():
            wrong = np.flatnonzero(~fitting).tolist()
            bad = [RefusedRow.of(row, self._wrong_length(int(lengths[row]), offset)) for row in wrong]
            rows = np.flatnonzero(fitting)
        values = cast(Sequence[bytes], [bodies[row] for row in rows.tolist()] if bad else bodies)
        parts: list[Rows] = []
        if self._fast is not None and int(lengths[rows].sum()) > self._few_bytes:
            whole = joined if joined is not None and not bad else Joined.of(values, self._fast.padding)
            columns, clean = self._fast.read(whole, offset)
            if clean.all():
                return self._resolved(Rows(rows, columns, bad))
            kept = np.flatnonzero(clean)
            parts.append(Rows(rows[kept], {name: take(column, kept) for name, column in columns.items()}, []))
            doubtful = np.flatnonzero(~clean)
            rows, values = rows[doubtful], [values[row] for row in doubtful.tolist()]
        parts.extend(self._judged(rows.tolist(), values, offset, bad))
        if not parts:
            parts = [Rows(np.empty(0, np.int64), columns_of(self._plan, []), [])]
        return self._resolved(Rows.joined(parts, sorted(bad)))

    def _wrong_length(self, length: int, offset: int) -> Refused:
        if length > self._max_bytes:
            return too_large(length, self._max_bytes)
        if length <= 0:
            return empty(length)
        return Refused(DecodeReason.TRUNCATED, f"{length} bytes, shorter than a frame of {offset}.")

    def _judged(
        self, rows: Sequence[int], values: Sequence[bytes], offset: int, bad: list[RefusedRow]
    ) -> Iterable[Rows]:
        """What the referee accepts of these rows, a few hundred at a time; the others join `bad`."""
        for low in range(0, len(rows), _REFEREE_ROWS):
            accepted, records = [], []
            for row, value in zip(rows[low : low + _REFEREE_ROWS], values[low : low + _REFEREE_ROWS], strict=True):
                try:
                    records.append(self._referee.read(value, offset))
                    accepted.append(row)
                except Refused as refused:
                    bad.append(RefusedRow.of(row, refused))
            yield Rows(np.array(accepted, np.int64), columns_of(self._plan, records), [])

    def _resolved(self, rows: Rows) -> Rows:
        """The columns that the reader's schema has."""
        columns = self._project(rows.columns, rows.at.size) if self._project else rows.columns
        return Rows(rows.at, columns, rows.refused)


Projection = Callable[[Columns, int], Columns]


def _projection(writer: Node, reader: Node) -> Projection | None:
    """Schema resolution by choosing among the writer's columns and adding constant ones; None where that cannot do it.

    It can where each of the reader's fields is one of the writer's with the same type and name, or is new and has a
    default. All else (promoted numbers, aliases, changed enums) is resolved by fastavro, record by record.
    """
    if reader is writer:
        return lambda columns, n: columns  # noqa: ARG005
    if writer.name.rpartition(".")[2] != reader.name.rpartition(".")[2]:
        return None
    written = {field.name: wire_schema(field.type) for field in writer.fields}
    added = {field.name: field.default for field in reader.fields if field.name not in written}
    if NO_DEFAULT in added.values():
        return None
    for field in reader.fields:
        if field.name not in added and written[field.name] != wire_schema(field.type):
            return None
        if field.name in added and field.aliases:
            return None
    plan = plan_of(reader)
    constants = columns_of(tuple(leaf for leaf in plan if leaf.path[0] in added), [added])

    def project(columns: Columns, n: int) -> Columns:
        known, first = {**columns, **constants}, np.zeros(n, np.int64)
        return {
            leaf.name: take(known[leaf.name], first) if leaf.name in constants else known[leaf.name] for leaf in plan
        }

    return project
