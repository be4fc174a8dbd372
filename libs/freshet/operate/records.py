"""Any record on Freshet's topics as something that a person, or `jq`, can read."""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import numpy as np

from freshet.avro import Column, Columns, Decoder, Strings, control, frame_ids
from freshet.avro.own_schemas import Schema, schema_lock
from freshet.contracts import topic_id
from freshet.contracts.batch import Batch, Headers, Record, read_headers
from freshet.contracts.errors import ContractError
from freshet.contracts.messages import PipelineRecord
from freshet.operate.event_values import plain
from freshet.operate.foreign_ids import ForeignIds, foreign_ids
from freshet.runtime.bus.protocol import Bus
from freshet.runtime.reading import everything

_MAX_BYTES: Final = 4 << 20
_SHOWN_BYTES: Final = 64
_OF_PRODUCERS: Final = ("events", "dead-letters")
"""Whose values may have the ids of a user's registry."""
_TOPICS: Final = ("features_topic", "source_topic")


class Readable:
    """Decodes records of every topic. Never raises for a record's sake: what cannot be read is shown as bytes."""

    def __init__(self, event_schemas: Mapping[int, Schema], foreign: ForeignIds | None = None) -> None:
        """`event_schemas` are those of the users' events, by id; ours are known.

        With `foreign`, events with the ids of a registry are read as ingestion reads them; it may take its while.
        """
        self._schemas = {entry.id: entry.schema for entry in schema_lock()} | dict(event_schemas)
        self._foreign = foreign
        self._decoders: dict[int, Decoder] = {}

    def rows(self, batch: Batch) -> list[dict[str, Any]]:
        """One JSON object per record: place, time, key, value and, where it has any, headers."""
        values = self.values(batch.role, batch.values)
        return [_row(record, value) for record, value in zip(batch.records, values, strict=True)]

    def values(self, role: str, values: Sequence[bytes | None]) -> list[Any]:
        """The values of one topic's records as JSON values, in order."""
        if role in control.CONTROL_ROLES:
            return [_control(role, value) for value in values]
        if role == "artifacts":
            return [_digest(value) for value in values]
        shown: list[Any] = [_unframed(value) for value in values]
        ids, _ = frame_ids(values)
        present = set(ids.tolist())
        decoders = {schema_id: self._decoder(schema_id) for schema_id in present & set(self._schemas)}
        if self._foreign is not None and role in _OF_PRODUCERS:
            strange = {one for one in present - set(self._schemas) if self._foreign.may_know(one)}
            decoders |= self._foreign_decoders(self._foreign.schemas(strange), self._foreign.reader)
            for row in np.flatnonzero(np.isin(ids, [*strange - set(decoders)])).tolist():
                shown[row] = _stranger(self._foreign, int(ids[row]), values[row] or b"")
        for schema_id, decoder in decoders.items():
            rows = np.flatnonzero(ids == schema_id).tolist()
            for row, value in zip(rows, _avro(decoder, [values[row] for row in rows]), strict=True):
                shown[row] = value
        return shown

    def _decoder(self, schema_id: int) -> Decoder:
        if schema_id not in self._decoders:
            self._decoders[schema_id] = Decoder(self._schemas[schema_id], max_bytes=_MAX_BYTES)
        return self._decoders[schema_id]

    def _foreign_decoders(self, found: Mapping[int, Schema], reader: Schema) -> Mapping[int, Decoder]:
        for schema_id in found.keys() - self._decoders.keys():
            self._decoders[schema_id] = Decoder(found[schema_id], reader_schema=reader, max_bytes=_MAX_BYTES)
        return {schema_id: self._decoders[schema_id] for schema_id in found}


def readable(bus: Bus, pipeline: str = "", known_login: str = "") -> Readable:
    """One that knows the event schemas of all published pipelines, and of this one the ids of its registry, too.

    `known_login` is FRESHET_SCHEMA_REGISTRY, see `find_schema`.
    """
    records = list(_pipeline_records(bus))
    schemas = dict(_event_schemas(records))
    return Readable(schemas, foreign_ids([one for one in records if one.pipeline == pipeline], known_login))


def _avro(decoder: Decoder, values: list[bytes | None]) -> list[Any]:
    rows = decoder.decode(values)
    shown: list[Any] = [None] * len(values)
    for row, record in zip(rows.at.tolist(), _records(rows.columns, rows.at.size), strict=True):
        shown[row] = record
    for bad in rows.refused:
        shown[bad.row] = {
            "undecodable": bad.reason.removeprefix("input_"),
            "detail": bad.detail,
            **_bytes(values[bad.row] or b""),
        }
    return shown


def _stranger(foreign: ForeignIds, schema_id: int, value: bytes) -> dict[str, Any]:
    return {
        "undecodable": f"schema id {schema_id} of {foreign.registry}",
        "detail": foreign.why(schema_id),
        **_bytes(value),
    }


def _event_schemas(records: Iterable[PipelineRecord]) -> Iterator[tuple[int, Schema]]:
    """By id; one that is no JSON is passed over."""
    for record in records:
        with suppress(ValueError):
            yield record.event_schema_id, json.loads(record.event_schema)


def _pipeline_records(bus: Bus) -> Iterator[PipelineRecord]:
    """Those on the pipelines topic; what is none is passed over."""
    for batch in everything(bus, "pipelines"):
        for value in filter(None, batch.values):
            with suppress(ContractError):
                record = control.decode("pipelines", value)
                assert isinstance(record, PipelineRecord)
                yield record


def headers_of(headers: Headers | None) -> dict[str, str]:
    """Headers as text; a value of null becomes empty."""
    return {name: (value or b"").decode(errors="replace") for name, value in headers or ()}


def finite(value: Any) -> Any:
    """The same with NaN and infinities as text, which JSON has no numbers for, and bytes in short."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bytes):
        return _bytes(value)
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return value


def _row(record: Record, value: Any) -> dict[str, Any]:
    key = record.key()
    row = {
        "partition": record.partition(),
        "offset": record.offset(),
        "timestamp_ms": record.timestamp()[1],
        "key": None if key is None else key.decode(errors="replace"),
        "value": value,
    }
    headers = headers_of(read_headers(record))
    return row | {"headers": headers} if headers else row


def _records(columns: Columns, rows: int) -> list[dict[str, Any]]:
    names, values = list(columns), [_plain(name, column) for name, column in columns.items()]
    return [{name: finite(column[row]) for name, column in zip(names, values, strict=True)} for row in range(rows)]


def _plain(name: str, column: Column) -> list[Any]:
    """A column as Python values; a topic's id as Kafka's own tools show it."""
    if name in _TOPICS and isinstance(column, Strings) and (column.lengths == topic_id.SIZE).all():
        return [topic_id.to_text(value) for value in column.tobytes()]
    return plain(column)


def _control(role: str, value: bytes | None) -> Any:
    if value is None:
        return None
    try:
        return finite(control.decode(role, value).model_dump())
    except ContractError as error:
        return {"undecodable": "not a control record", "detail": str(error), **_bytes(value)}


def _digest(value: bytes | None) -> Any:
    return None if value is None else {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest()}


def _unframed(value: bytes | None) -> Any:
    if value is None:
        return None
    try:
        return finite(json.loads(value))
    except (ValueError, RecursionError):
        return {"undecodable": "neither a known schema id nor JSON", **_bytes(value)}


def _bytes(value: bytes) -> dict[str, Any]:
    shown = value[:_SHOWN_BYTES].hex()
    return {"bytes": len(value), "hex": shown + ("…" if len(value) > _SHOWN_BYTES else "")}


def hexdump(value: bytes, limit: int = 256) -> list[str]:
    """Lines of sixteen bytes, as `xxd` prints them; long values are cut."""
    lines = []
    for start in range(0, min(len(value), limit), 16):
        part = value[start : start + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"  {start:06x}  {part.hex(' '):<47}  {text}")
    return [*lines, f"  … {len(value) - limit} bytes more"] if len(value) > limit else lines
