"""Loan applications and feedback as ingestion meets them, framed by fastavro: our codec does not vouch for itself."""

import json
from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import Any, Final, NamedTuple

import fastavro

from freshet.avro.own_schemas import Schema, current_schema, event_schema_id, schema_by_id, schema_id
from freshet.contracts.batch import Batch, Headers
from freshet.contracts.logic import DeadLetter, Effect, Fact, Publish
from freshet.contracts.messages import PipelineRecord
from freshet.contracts.shipped import pipelines_dir
from freshet.ingestion.core.logic import IngestionLogic
from freshet.pipeline import load_folder
from freshet.runtime.bus.memory.partition_log import At, MemoryRecord, Payload

NOW_MS: Final = 1_750_000_000_000
"""The broker's clock in these tests."""

SPEC, SPEC_TEXT, SCHEMA = load_folder(pipelines_dir() / "loans")


def loan(**but: Any) -> dict[str, Any]:
    """A loan application that passes every rule, but for these fields."""
    facts = {"salary": 50000.0, "commission": 20000.0, "age": 40, "elevel": 2, "car": 7, "zipcode": 3}
    facts |= {"hvalue": 300000.0, "hyears": 12, "loan": 100000.0}
    return {"event_id": "e1", "applicant": "ada", "at": NOW_MS, **facts, **but}


def feedback(**but: Any) -> dict[str, Any]:
    """What became of it, but for these fields."""
    known = {"event_id": "e1", "entity": "ada", "label": "approved", "labelled_at": NOW_MS, "revision": 0}
    return {**known, **but}


def framed(record: dict[str, Any], schema: Schema = SCHEMA, identifier: int | None = None) -> bytes:
    """The record as a producer's serializer writes it."""
    body = BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(dict(schema)), record)
    return b"\0" + (event_schema_id(schema) if identifier is None else identifier).to_bytes(4, "big") + body.getvalue()


def framed_feedback(**but: Any) -> bytes:
    """A feedback record as a producer's serializer writes it."""
    return framed(feedback(**but), current_schema("Feedback"), schema_id("Feedback"))


def batch(
    values: Sequence[bytes | None],
    *,
    role: str = "events",
    partitions: Sequence[int] | None = None,
    headers: Headers | None = None,
) -> Batch:
    """These values as records, all in partition 0 unless said otherwise; offsets count up over the whole batch."""
    places = partitions or [0] * len(values)
    return Batch(
        role,
        [
            MemoryRecord(At(f"loans.{role}", partition), 100 + row, NOW_MS, Payload(b"producer's key", value, headers))
            for row, (value, partition) in enumerate(zip(values, places, strict=True))
        ],
    )


def applied(text: str = SPEC_TEXT, schema: Schema = SCHEMA, number: int = 1) -> Fact:
    """What `freshet apply` writes."""
    record = PipelineRecord(
        pipeline="loans",
        number=number,
        spec=text,
        event_schema=json.dumps(schema),
        event_schema_id=event_schema_id(schema),
    )
    return Fact("pipelines", "loans", record)


def serving(text: str = SPEC_TEXT, schema: Schema = SCHEMA) -> IngestionLogic:
    """Ingestion of one pipeline that is ready."""
    logic = IngestionLogic("loans")
    logic.fold(applied(text, schema))
    assert logic.unready() is None
    return logic


class Written(NamedTuple):
    """A record that was published: its key, what fastavro reads in it, and the partition it was sent to."""

    key: bytes | None
    record: dict[str, Any]
    partition: int | None


class Dead(NamedTuple):
    """Why a row was set aside."""

    reason: str
    detail: str
    schema_id: int | None


def written(effects: Iterable[Effect], role: str = "features") -> list[Written]:
    """The records published to the role, in order."""
    found = []
    for effect in effects:
        if isinstance(effect, Publish) and effect.role == role:
            for row, value in enumerate(effect.values):
                schema = fastavro.parse_schema(dict(schema_by_id(int.from_bytes(value[1:5], "big")).schema))
                body = BytesIO(value[5:])
                record = fastavro.schemaless_reader(body, schema, None)
                assert body.read() == b""
                assert isinstance(record, dict)
                found.append(Written(effect.keys[row], record, effect.partitions[row] if effect.partitions else None))
    return found


def dead(effects: Iterable[Effect]) -> dict[int, Dead]:
    """Why each row that was set aside was, by its index in the batch."""
    found: dict[int, Dead] = {}
    for effect in effects:
        if isinstance(effect, DeadLetter):
            for row, detail in zip(effect.rows.tolist(), effect.details, strict=True):
                assert row not in found
                found[row] = Dead(effect.reason, detail, effect.schema_id)
    return found
