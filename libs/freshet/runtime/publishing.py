"""Publishes schemas and pipelines, as the single writer of their topics: fence, read everything, decide, commit once.

Two people who publish at the same time cannot both win: opening the transactional id fences whoever came first, who
then commits nothing, looks at what has been published meanwhile, and says so.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import uuid4

from freshet.avro.control import decode, encode
from freshet.avro.own_schemas import Schema
from freshet.avro.schema_records import (
    Key,
    SchemaRecord,
    event_record,
    fold_schemas,
    missing,
    released_records,
    subject_of,
    value_subject,
)
from freshet.contracts.errors import ContractError, NewerRecordError
from freshet.contracts.messages import PipelineRecord
from freshet.contracts.topic_table import TopicNames, topic_table
from freshet.pipeline import PipelineSpec
from freshet.pipeline.record import next_record
from freshet.runtime.bus.protocol import Bus, FatalError, FencedError, Send, Transaction, TransactionalProducer
from freshet.runtime.interrupts import interrupts_held
from freshet.runtime.reading import everything

T = TypeVar("T")

_SERVICE: Final = "cli"
_SLOT: Final = "publish"
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Publication:
    """What publishing a pipeline writes: its record if that is `changed`, and schemas that are not there yet."""

    record: PipelineRecord
    changed: bool
    schemas: tuple[SchemaRecord, ...]


def pipeline_records(bus: Bus) -> dict[str, PipelineRecord]:
    """The newest record of every pipeline, by name. Raises ContractError as `all_pipeline_records` does."""
    return newest(all_pipeline_records(bus))


def all_pipeline_records(bus: Bus) -> list[PipelineRecord]:
    """The records of every number of every pipeline, numbers ascending: for whoever writes beside them.

    Raises ContractError on a record that cannot be read here, unless a later record of its key took it away.
    """
    by_key: dict[bytes | None, bytes] = {}
    for key, value in _rows(bus, "pipelines"):
        by_key.pop(key, None)
        if value is not None:
            by_key[key] = value
    return _ascending(_pipeline_record(key, value) for key, value in by_key.items())


def readable_pipeline_records(bus: Bus, pipeline: str = "") -> list[PipelineRecord]:
    """The same for whoever reads only: a record that cannot be read changes nothing, as for services (`Feed`).

    So no stranger's record keeps a person from looking at a pipeline, or from rolling its model back. Raises
    ContractError where one of `pipeline` itself lacks for that: a newer release wrote it, or nothing else has its key.
    """
    by_key: dict[bytes | None, PipelineRecord] = {}
    unread: dict[bytes | None, ContractError] = {}
    for key, value in _rows(bus, "pipelines"):
        unread.pop(key, None)
        if value is None:
            by_key.pop(key, None)
            continue
        try:
            by_key[key] = _pipeline_record(key, value)
        except ContractError as error:
            unread[key] = error
    for key, why in unread.items():
        ours = pipeline and (key or b"").startswith(f"{pipeline}/".encode())
        if ours and (key not in by_key or isinstance(why, NewerRecordError)):
            raise why
    return _ascending(by_key.values())


def newest(records: Iterable[PipelineRecord]) -> dict[str, PipelineRecord]:
    """By pipeline the last of these records, which are in the order of their numbers."""
    return {record.pipeline: record for record in records}


def _rows(bus: Bus, role: str) -> Iterator[tuple[bytes | None, bytes | None]]:
    for batch in everything(bus, role):
        yield from zip(batch.keys, batch.values, strict=True)


def _ascending(records: Iterable[PipelineRecord]) -> list[PipelineRecord]:
    return sorted(records, key=lambda record: record.number)


def _pipeline_record(key: bytes | None, value: bytes) -> PipelineRecord:
    try:
        record = decode("pipelines", value)
    except NewerRecordError:
        raise
    except ContractError as error:
        raise ContractError(
            f"{error}. It has the key {key!r:.200}. If a stranger wrote it, write a tombstone under that very key (a "
            "record with the same key and no value)."
        ) from error
    assert isinstance(record, PipelineRecord)
    return record


def published_schemas(bus: Bus) -> dict[Key, SchemaRecord]:
    """All schemas on the schemas topic, by subject and version. Raises ContractError on what no registry writes."""
    return fold_schemas(_rows(bus, "schemas"))


def publish_schemas(bus: Bus, namespace: str) -> list[SchemaRecord]:
    """Publish all released schemas, and the event schemas of published pipelines; what was missing. Idempotent.

    Raises ContractError, having written nothing, if an id or a version is taken by another schema.
    """

    def decide() -> tuple[list[SchemaRecord], list[Send]]:
        published, pipelines = published_schemas(bus), pipeline_records(bus)
        events = [
            event_record(
                TopicNames(namespace, name), record.event_schema_id, json.loads(record.event_schema), published
            )
            for name, record in pipelines.items()
        ]
        new = missing([*released_records(namespace, list(pipelines)), *events], published)
        return new, _schema_sends(new)

    return _as_single_writer(bus, decide)


def review_pipeline(
    bus: Bus, namespace: str, spec: PipelineSpec, text: str, event_schema: Schema, *, life: str = ""
) -> Publication:
    """What `publish_pipeline` would write now; `life`: the id of the pipeline's life if it begins now.

    Writes nothing; raises the same errors.
    """
    names = TopicNames(namespace, spec.pipeline)
    published = published_schemas(bus)
    subject = value_subject(names, "events")
    earlier = [json.loads(record.schema) for (of, _), record in published.items() if of == subject]
    previous = pipeline_records(bus).get(spec.pipeline)
    record = next_record(previous, spec, text, event_schema, earlier, life=life)
    event = event_record(names, record.event_schema_id, json.loads(record.event_schema), published)
    new = missing([*released_records(namespace, [spec.pipeline]), event], published)
    return Publication(record, record is not previous, tuple(new))


def publish_pipeline(bus: Bus, namespace: str, spec: PipelineSpec, text: str, event_schema: Schema) -> Publication:
    """Publish a pipeline that has passed `pipeline.check`, with its schemas, in one transaction. Idempotent.

    Its topics must exist. Raises PipelineConflictError or ContractError, having written nothing.
    """
    life = uuid4().hex  # once: what is decided again after a hiccup must be the same

    def decide() -> tuple[Publication, list[Send]]:
        found = review_pipeline(bus, namespace, spec, text, event_schema, life=life)
        key = f"{spec.pipeline}/{found.record.number}".encode()
        record = Send("pipelines", [key], [encode(found.record)])
        return found, [*_schema_sends(found.schemas), *([record] if found.changed else [])]

    return _as_single_writer(bus, decide)


def withdraw_pipeline(bus: Bus, names: TopicNames) -> int:
    """Write tombstones for all that is published of a pipeline, except what the registry owns, in one transaction.

    That is: its specifications, the schemas of its topics, its candidates, cut-overs, edges and workers. Its services
    must have ended. Idempotent; returns how many records were withdrawn.
    """
    prefix = f"{names.pipeline}/".encode()
    subjects = {value_subject(names, role) for role, topic in topic_table().items() if topic.per_pipeline}
    of_ours: dict[str, Callable[[bytes], bool]] = {
        **dict.fromkeys(("pipelines", "candidates", "cutovers", "edges"), lambda key: key.startswith(prefix)),
        "workers": lambda key: key.split(b"/")[1:2] == [names.pipeline.encode()],
        "schemas": lambda key: subject_of(key) in subjects,
    }

    def decide() -> tuple[int, list[Send]]:
        keys = {role: _there(bus, role, ours) for role, ours in of_ours.items()}
        # an interrupted deletion: the registry goes by this tombstone, and the first one may be gone by now
        if not keys["pipelines"] and any(_there(bus, role, of_ours["pipelines"]) for role in ("models", "rollouts")):
            keys["pipelines"] = [prefix + b"1"]
        sends = [Send(role, some, [None] * len(some)) for role, some in keys.items() if some]
        return sum(len(send.keys) for send in sends), sends

    return _as_single_writer(bus, decide)


def _there(bus: Bus, role: str, ours: Callable[[bytes], bool]) -> list[bytes | None]:
    """This pipeline's keys whose newest record is not a tombstone, in order."""
    there: dict[bytes | None, bool] = {}
    for key, value in _rows(bus, role):
        if key is not None and ours(key):
            there[key] = value is not None
    return [key for key, stands in there.items() if stands]


def _as_single_writer(bus: Bus, decide: Callable[[], tuple[T, list[Send]]]) -> T:
    """Fence all others, read, decide, and write all of it or nothing.

    A commit fails because another publisher has fenced us, or because the broker was briefly away; either way this
    begins again with the fence. Only what was decided the first time is ever written: FatalError if the decision would
    be another one now.
    """
    producer = bus.transactional_producer(_SERVICE, _SLOT, reopen=False)
    try:
        producer.open()
        decided, sends = decide()
        attempts = 0
        while sends:
            attempts += 1
            failed = _failure(producer, sends)
            if failed is not None and attempts == _ATTEMPTS:
                raise failed
            # The broker lets this id begin anew only once the end of a commit can be read: whoever looks, finds it.
            producer.open()
            if failed is None:
                break
            _, left = decide()
            if left and not _same(left, sends):
                raise FatalError(
                    "somebody else has published at the same time, and nothing of yours was written: look at what is "
                    "published now, then apply yours again."
                ) from failed
            sends = left
        return decided
    except FencedError as error:
        raise FatalError(
            "another `freshet apply` or `freshet pipeline delete` is at work and has taken over from this one: look at "
            "what is published once that has ended, then try again."
        ) from error
    finally:
        producer.close()


def _failure(producer: TransactionalProducer, sends: Sequence[Send]) -> FatalError | None:
    """Commit, or return why this client could not. Only the topics can tell whether the commit landed all the same."""
    try:
        with interrupts_held():
            producer.commit(Transaction(sends))
    except FatalError as error:
        return error
    return None


def _same(some: Sequence[Send], others: Sequence[Send]) -> bool:
    """Whether the same records would be written."""
    return [(send.role, send.keys, send.values) for send in some] == [
        (send.role, send.keys, send.values) for send in others
    ]


def _schema_sends(records: Sequence[SchemaRecord]) -> list[Send]:
    if not records:
        return []
    return [Send("schemas", [record.key() for record in records], [record.value() for record in records])]
