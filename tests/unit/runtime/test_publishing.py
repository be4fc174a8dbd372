"""Schemas and pipelines are published once, whole, and by one writer at a time."""

import json
from typing import Any
from unittest.mock import Mock

import pytest

from freshet.avro.control import encode
from freshet.avro.own_schemas import Schema, schema_id, schema_lock
from freshet.avro.schema_records import SchemaRecord
from freshet.contracts.errors import ContractError, NewerRecordError
from freshet.contracts.shipped import pipelines_dir
from freshet.contracts.topic_table import TopicNames, topic_table
from freshet.operate.facts import published
from freshet.pipeline import PipelineSpec, load_folder
from freshet.pipeline.record import PipelineConflictError
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster, SimulatedCrash
from freshet.runtime.bus.protocol import FatalError, Send
from freshet.runtime.publishing import (
    pipeline_records,
    publish_pipeline,
    publish_schemas,
    published_schemas,
    readable_pipeline_records,
    review_pipeline,
    withdraw_pipeline,
)
from freshet.runtime.reading import everything

NAMESPACE = "dev."

Folder = tuple[PipelineSpec, str, Schema]


@pytest.fixture
def bus() -> MemoryBus:
    """A bus in memory with all topics of the pipeline `loans`."""
    cluster, names = MemoryCluster(), TopicNames(NAMESPACE, "loans")
    cluster.ensure(names, 2)
    return MemoryBus(cluster, names)


@pytest.fixture
def loans() -> Folder:
    """The shipped pipeline `loans`."""
    return load_folder(pipelines_dir() / "loans")


def with_field(folder: Folder, field: dict[str, Any]) -> Folder:
    """The same pipeline with another field in its events."""
    spec, text, schema = folder
    return spec, text, {**schema, "fields": [*schema["fields"], field]}


def records(bus: MemoryBus, role: str) -> int:
    """How many records a topic holds."""
    return sum(span.end - span.low for span in bus.spans(role).values())


def test_the_first_apply_publishes_everything(bus: MemoryBus, loans: Folder) -> None:
    """After one apply, pipeline and schemas are there, each framed id with its schema under the topic's subject."""
    published = publish_pipeline(bus, NAMESPACE, *loans)
    assert published.changed
    assert pipeline_records(bus) == {"loans": published.record}
    schemas = published_schemas(bus)
    event = schemas["dev.loans.events-value", 1]
    assert event.id == published.record.event_schema_id
    assert json.loads(event.schema) == loans[2]
    carried = {topic.message for topic in topic_table().values()}
    released = {entry.id for entry in schema_lock() if entry.record in carried}
    assert released < {record.id for record in schemas.values()}


def test_the_second_apply_writes_nothing(bus: MemoryBus, loans: Folder) -> None:
    """Applying what is published is a question, not a change: no record is written anywhere."""
    first = publish_pipeline(bus, NAMESPACE, *loans)
    before = {role: records(bus, role) for role in ("pipelines", "schemas")}
    again = publish_pipeline(bus, NAMESPACE, *loans)
    assert not again.changed
    assert again.record == first.record
    assert again.schemas == ()
    assert publish_schemas(bus, NAMESPACE) == []
    assert {role: records(bus, role) for role in before} == before


def test_a_review_writes_nothing(bus: MemoryBus, loans: Folder) -> None:
    """Asking what would be published leaves the topics empty."""
    assert review_pipeline(bus, NAMESPACE, *loans).changed
    assert records(bus, "pipelines") == records(bus, "schemas") == 0


def test_a_new_event_schema_is_a_new_version(bus: MemoryBus, loans: Folder) -> None:
    """A compatible change gives the next number and version; the old version stays for old events."""
    publish_pipeline(bus, NAMESPACE, *loans)
    changed = with_field(loans, {"name": "branch", "type": "string", "default": "", "doc": "Where."})
    published = publish_pipeline(bus, NAMESPACE, *changed)
    assert published.record.number == 2
    assert [record.version for record in published.schemas] == [2]
    assert {("dev.loans.events-value", 1), ("dev.loans.events-value", 2)} <= published_schemas(bus).keys()


def test_a_conflict_leaves_everything_as_it_was(bus: MemoryBus, loans: Folder) -> None:
    """A refused pipeline leaves no half of itself behind: neither its schema nor its record."""
    first = publish_pipeline(bus, NAMESPACE, *loans)
    before = published_schemas(bus)
    with pytest.raises(PipelineConflictError, match=r"event\.avsc"):
        publish_pipeline(bus, NAMESPACE, *with_field(loans, {"name": "branch", "type": "string"}))
    assert pipeline_records(bus) == {"loans": first.record}
    assert published_schemas(bus) == before


@pytest.mark.parametrize("step", ["begun", "produced", "offsets_sent"])
def test_a_crash_publishes_all_or_nothing(bus: MemoryBus, loans: Folder, step: str) -> None:
    """Whoever applies again after a crash in mid-commit finds nothing published, and publishes number 1."""

    def strike(reached: str, _transactional_id: str) -> None:
        if reached == step:
            raise SimulatedCrash

    bus.cluster.failpoint = strike
    with pytest.raises(SimulatedCrash):
        publish_pipeline(bus, NAMESPACE, *loans)
    bus.cluster.failpoint = None
    assert publish_pipeline(bus, NAMESPACE, *loans).record.number == 1
    assert pipeline_records(bus)["loans"].number == 1


def test_of_two_who_apply_at_once_one_wins(bus: MemoryBus, loans: Folder) -> None:
    """The first is fenced when the second begins, so no number is published twice with different content."""
    rival = with_field(loans, {"name": "rival", "type": "string", "default": "", "doc": "The other's."})

    def interleave(reached: str, _transactional_id: str) -> None:
        if reached == "begun":
            bus.cluster.failpoint = None
            publish_pipeline(bus, NAMESPACE, *rival)

    bus.cluster.failpoint = interleave
    with pytest.raises(FatalError, match="somebody else"):
        publish_pipeline(bus, NAMESPACE, *loans)
    assert pipeline_records(bus)["loans"].number == 1
    assert "rival" in pipeline_records(bus)["loans"].event_schema


def test_who_is_taken_over_again_and_again_is_told_by_whom(bus: MemoryBus, loans: Folder) -> None:
    """The sentence is one about commands: there is no supervisor, and nobody's slot."""

    def rival(reached: str, _transactional_id: str) -> None:
        if reached == "begun":
            bus.transactional_producer("cli", "publish").open()

    bus.cluster.failpoint = rival
    with pytest.raises(FatalError, match=r"another `freshet apply` or `freshet pipeline delete` is at work"):
        publish_pipeline(bus, NAMESPACE, *loans)
    assert records(bus, "pipelines") == 0


def test_a_hiccup_between_decision_and_commit_is_no_way_around_the_fence(bus: MemoryBus, loans: Folder) -> None:
    """The connection breaks once the rival is through: the loser, which is suspect now, does not take the id back."""
    rival = with_field(loans, {"name": "rival", "type": "string", "default": "", "doc": "The other's."})

    def interleave(client: str, operation: str) -> None:
        if operation == "commit":
            bus.cluster.before = None
            bus.cluster.disconnect()
            publish_pipeline(bus, NAMESPACE, *rival)

    bus.cluster.before = interleave
    with pytest.raises(FatalError, match="somebody else"):
        publish_pipeline(bus, NAMESPACE, *loans)
    values = [value for batch in everything(bus, "pipelines") for value in batch.values]
    assert len(values) == 1
    assert "rival" in pipeline_records(bus)["loans"].event_schema


def test_a_hiccup_without_a_rival_is_not_the_users_trouble(bus: MemoryBus, loans: Folder) -> None:
    """It begins again from the fence, and what was decided is published once."""

    def break_once(_client: str, operation: str) -> None:
        if operation == "commit":
            bus.cluster.before = None
            bus.cluster.disconnect()

    bus.cluster.before = break_once
    assert publish_pipeline(bus, NAMESPACE, *loans).changed
    assert records(bus, "pipelines") == 2, "the record and its marker"


def test_two_who_publish_the_same_are_both_right(bus: MemoryBus, loans: Folder) -> None:
    """The one who was fenced finds what he wanted, and writes nothing."""

    def interleave(_client: str, operation: str) -> None:
        if operation == "commit":
            bus.cluster.before = None
            publish_pipeline(bus, NAMESPACE, *loans)

    bus.cluster.before = interleave
    assert publish_pipeline(bus, NAMESPACE, *loans).record.number == 1
    assert records(bus, "pipelines") == 2, "the record and its marker"


def test_schemas_publish_includes_applied_pipelines(bus: MemoryBus, loans: Folder) -> None:
    """`schemas publish` restores a wiped schemas topic wholly: ours, and the events' of every applied pipeline."""
    publish_pipeline(bus, NAMESPACE, *loans)
    before = published_schemas(bus)
    bus.cluster.delete_topic(bus.names.topic("schemas"))
    bus.cluster.ensure(bus.names, 2)
    assert set(publish_schemas(bus, NAMESPACE)) == set(before.values())
    assert published_schemas(bus) == before


def test_a_strangers_schema_is_not_overwritten(bus: MemoryBus) -> None:
    """If somebody else uses our ids on this topic, nothing at all is published."""
    theirs = SchemaRecord.of("theirs-value", 1, schema_id("Rollout"), {"type": "record", "name": "X", "fields": []})
    bus.producer().send(Send("schemas", [theirs.key()], [theirs.value()]))
    with pytest.raises(ContractError, match="theirs-value"):
        publish_schemas(bus, NAMESPACE)
    assert records(bus, "schemas") == 1


def test_a_strangers_records_with_tombstones_behind_them_stop_nobody(bus: MemoryBus, loans: Folder) -> None:
    """One foreign record on either topic refuses an apply and says its key; its tombstone lets the next one through."""
    for role in ("schemas", "pipelines"):
        bus.producer().send(Send(role, [b"stranger"], [b"{}"]))
        with pytest.raises(ContractError, match=r"key b'stranger'.*write a tombstone under that very key"):
            publish_pipeline(bus, NAMESPACE, *loans)
        bus.producer().send(Send(role, [b"stranger"], [None]))
    assert publish_pipeline(bus, NAMESPACE, *loans).record.number == 1


def test_a_strangers_record_keeps_nobody_from_reading(bus: MemoryBus, loans: Folder) -> None:
    """Whoever looks at a pipeline, or rolls its model back, goes by what can be read, as the services do."""
    record = publish_pipeline(bus, NAMESPACE, *loans).record
    newer = b"\0" + (max(entry.id for entry in schema_lock()) + 1).to_bytes(4, "big")
    for key, value in ((b"stranger", b"{}"), (b"loans/1", b"x"), (b"other/1", newer), (b"\xff", b"")):
        bus.producer().send(Send("pipelines", [key], [value]))
    assert readable_pipeline_records(bus, "loans") == [record]
    asked = Mock(bus=lambda: bus)
    assert published(asked, "loans").record == record
    with pytest.raises(NewerRecordError):
        readable_pipeline_records(bus, "other")
    bus.producer().send(Send("pipelines", [b"gone/1"], [b"x"]))
    with pytest.raises(ContractError, match="key b'gone/1'"):
        readable_pipeline_records(bus, "gone")


def test_a_removed_pipeline_is_gone(bus: MemoryBus, loans: Folder) -> None:
    """A tombstone takes a pipeline off the list; applying it again begins anew."""
    record = publish_pipeline(bus, NAMESPACE, *loans).record
    bus.producer().send(Send("pipelines", [b"loans/1"], [None]))
    assert pipeline_records(bus) == {}
    bus.producer().send(Send("pipelines", [b"loans/1"], [encode(record)]))
    assert pipeline_records(bus) == {"loans": record}


def test_topics_that_do_not_exist_hold_nothing() -> None:
    """On a new cluster there is nothing published, which is no error."""
    bus = MemoryBus(MemoryCluster(), TopicNames(NAMESPACE))
    assert pipeline_records(bus) == {}
    assert published_schemas(bus) == {}


def test_a_withdrawn_pipeline_leaves_nothing_but_the_registrys_records(bus: MemoryBus, loans: Folder) -> None:
    """Specifications, schemas of its topics, candidates, cut-overs and workers; others' stay, and twice is once."""
    names = TopicNames(NAMESPACE, "loans")
    publish_schemas(bus, NAMESPACE)
    of_all = set(published_schemas(bus))
    publish_pipeline(bus, NAMESPACE, *loans)
    of_loans = set(published_schemas(bus)) - of_all
    assert all(subject.startswith("dev.loans.") for subject, _ in of_loans)
    producer = bus.producer()
    for role, key in (("candidates", "loans/d"), ("cutovers", "loans/serve/t/0/1"), ("workers", "inference/loans/0")):
        producer.send(Send(role, [key.encode(), key.replace("loans", "loans-2").encode()], [b"x", b"x"]))

    assert withdraw_pipeline(bus, names) == 1 + 3 + len(of_loans)
    assert pipeline_records(bus) == {}
    assert set(published_schemas(bus)) == of_all
    for role in ("candidates", "cutovers", "workers"):
        rows = [row for batch in everything(bus, role) for row in zip(batch.keys, batch.values, strict=True)]
        assert [b"loans-2/" in (key or b"") for key, value in dict(rows).items() if value is not None] == [True]
    assert withdraw_pipeline(bus, names) == 0
    assert publish_pipeline(bus, NAMESPACE, *loans).record.number == 1
