"""`json`: one JSON object per event, without framing, held to event.avsc."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, NoReturn

import numpy as np

from freshet.avro.codec_time import timed
from freshet.avro.json_fast import FastJson
from freshet.avro.json_values import json_reader
from freshet.avro.own_schemas import Schema
from freshet.avro.parsing import parse
from freshet.avro.plan import columns_of, plan_of
from freshet.avro.reasons import DecodeReason, Refused, empty, too_large
from freshet.avro.rows import RefusedRow, Rows
from freshet.ingestion.core.decoder import EventDecoder

_CHUNK_ROWS: Final = 1000
"""Rows that become columns together, so that few Python objects live at a time."""


class JsonDecoder(EventDecoder):
    """JSON and Avro producers get the same columns.

    An event costs about five times what it costs as Avro; one with an escaped quote or a whole number as `3.0`, and
    every event of a schema with nested fields, three times that.
    """

    kind: ClassVar[str] = "json"

    def __init__(
        self,
        schemas: Mapping[int, Schema],  # noqa: ARG002
        reader: Schema,
        *,
        max_bytes: int,
        ignore_unknown: bool = False,
    ) -> None:
        record = parse(reader)
        self._plan = plan_of(record)
        self._fast = FastJson.of(record, ignore_unknown=ignore_unknown)
        self._accept = json_reader(record, ignore_unknown=ignore_unknown)
        self._max_bytes = max_bytes

    @timed("decode")
    def read(self, values: Sequence[bytes | None]) -> Rows:
        """Decode at least one value; a row is refused as malformed where it differs from the schema in any way."""
        refused: list[RefusedRow] = []
        parts = [self._chunk(values, low, refused) for low in range(0, len(values), _CHUNK_ROWS)]
        return Rows.joined(parts, refused)

    def _chunk(self, values: Sequence[bytes | None], low: int, refused: list[RefusedRow]) -> Rows:
        """What the rows from `low` on hold; those that cannot be read join `refused`."""
        at, records = [], []
        for row, value in enumerate(values[low : low + _CHUNK_ROWS], low):
            try:
                records.append(self._record(value))
                at.append(row)
            except Refused as why:
                refused.append(RefusedRow.of(row, why))
        return Rows(np.array(at, np.int64), columns_of(self._plan, records), [])

    def _record(self, value: bytes | None) -> dict[str, Any]:
        """The event, by the fast way if that is sure of it, else by the slow one, which raises Refused."""
        plain = self._fast.read(value) if self._fast and value and len(value) <= self._max_bytes else None
        return self._judged(value) if plain is None else plain

    def _judged(self, value: bytes | None) -> dict[str, Any]:
        if not value:
            raise empty(-1 if value is None else 0)
        if len(value) > self._max_bytes:
            raise too_large(len(value), self._max_bytes)
        if value[0] == 0:
            raise Refused(DecodeReason.FRAMING, _framed(value))
        # Both parsing and checking recurse, and checking takes more stack for each level: either can hit the limit.
        try:
            record: dict[str, Any] = self._accept(_parsed(value))
        except RecursionError:
            raise Refused(DecodeReason.MALFORMED, "it is nested deeper than this reader can follow.") from None
        return record


def _framed(value: bytes) -> str:
    """The sentence about a value that begins with the frame of serializers that use a schema registry."""
    what = "JSON Schema" if value[5:].lstrip()[:1] in (b"{", b"[") else "Avro or Protobuf"
    return (
        f"it begins with byte 00 and schema id {int.from_bytes(value[1:5], 'big')}, as a serializer for {what} with a "
        "schema registry frames values. Send the bare JSON object, or Avro with `decoder: avro` in pipeline.yaml."
    )


def _parsed(value: bytes) -> Any:
    try:
        return json.loads(value.decode(), object_pairs_hook=_distinct, parse_constant=_no_constant)
    except ValueError as error:
        raise Refused(DecodeReason.MALFORMED, f"this is not JSON as RFC 8259 has it: {error}.") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a key is written twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
