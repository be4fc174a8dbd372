"""Schemas on a topic, in the record format that registries of Confluent's kind read."""

import json

import pytest

from freshet.avro.own_schemas import schema_lock
from freshet.avro.schema_records import (
    Key,
    SchemaRecord,
    event_record,
    fold_schemas,
    missing,
    released_records,
    subject_of,
)
from freshet.contracts.errors import ContractError
from freshet.contracts.topic_table import TopicNames

NAMES = TopicNames("dev.", "loans")
ONE = {"type": "record", "name": "E", "fields": [{"name": "a", "type": "int"}]}
DOCUMENTED = {"type": "record", "name": "E", "doc": "Said.", "fields": [{"name": "a", "type": "int"}]}
TWO = {"type": "record", "name": "E", "fields": [{"name": "a", "type": "long"}]}


def table(*records: SchemaRecord) -> dict[Key, SchemaRecord]:
    """What stands on the topic after these were written."""
    return fold_schemas((record.key(), record.value()) for record in records)


def test_bytes_are_those_of_confluents_registry() -> None:
    """Key and value are byte for byte what the registry writes: compaction, and followers, go by the key's bytes."""
    record = SchemaRecord("loans.events-value", 2, 1001, '{"type":"string"}')
    assert record.key() == b'{"keytype":"SCHEMA","subject":"loans.events-value","version":2,"magic":1}'
    assert record.value() == (
        b'{"subject":"loans.events-value","version":2,"id":1001,"schema":"{\\"type\\":\\"string\\"}","deleted":false}'
    )
    assert table(record) == {("loans.events-value", 2): record}


def test_what_registries_write_besides_is_passed_over() -> None:
    """No-ops and configuration are no schemas; deleted versions are gone, however they were deleted."""
    first, second = SchemaRecord.of("s", 1, 1, ONE), SchemaRecord.of("s", 2, 2, TWO)
    rows: list[tuple[bytes | None, bytes | None]] = [
        (b'{"keytype":"NOOP","magic":0}', None),
        (b'{"keytype":"CONFIG","subject":null,"magic":0}', b'{"compatibilityLevel":"FULL"}'),
        (first.key(), first.value()),
        (second.key(), second.value()),
        (first.key(), first.value().replace(b"false", b"true")),
        (second.key(), None),
    ]
    assert fold_schemas(rows[:4]) == table(first, second)
    assert fold_schemas(rows) == {}


DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    "row", [(b"loans", b"{}"), (None, b"{}"), (b'{"keytype":"SCHEMA"}', b"{}"), (b"[]", b""), (DEEP, b"")]
)
def test_what_no_registry_writes_is_an_error(row: tuple[bytes | None, bytes | None]) -> None:
    """A stranger's record stops publishing: the topic is not what we think it is."""
    with pytest.raises(ContractError, match="no registry writes"):
        fold_schemas([row])
    assert subject_of(DEEP) == ""


@pytest.mark.parametrize("key", [b"loans", b"{}", b'{"keytype":"SCHEMA"}', b"[]"])
def test_a_strangers_record_with_a_tombstone_behind_it_is_gone(key: bytes) -> None:
    """The last record of a key counts: what was taken away is not judged, and says before how to take it away."""
    ours = SchemaRecord.of("s", 1, 1, ONE)
    stranger: list[tuple[bytes | None, bytes | None]] = [(key, b"{}"), (ours.key(), ours.value())]
    with pytest.raises(ContractError, match="tombstone under that very key"):
        fold_schemas(stranger)
    assert fold_schemas([*stranger, (key, None)]) == table(ours)


def test_a_spoiled_value_that_was_written_anew_is_gone() -> None:
    """`{}` under a key of ours, and then what belongs there."""
    ours = SchemaRecord.of("s", 1, 1, ONE)
    assert fold_schemas([(ours.key(), b"{}"), (ours.key(), ours.value())]) == table(ours)


def test_every_released_schema_has_the_subject_of_its_topic() -> None:
    """Control schemas are published once, data schemas for every pipeline, under TopicNameStrategy's subject."""
    records = released_records("dev.", ["loans", "cards"])
    found = {(record.subject, record.id) for record in records}
    assert len(found) == len(records)
    by_record = {entry.record: entry.id for entry in schema_lock()}
    assert ("dev.freshet.rollouts-value", by_record["Rollout"]) in found
    assert ("dev.loans.features-value", by_record["FeatureVector"]) in found
    assert ("dev.cards.features-value", by_record["FeatureVector"]) in found
    assert {entry.id for entry in schema_lock()} == {record.id for record in records}


def test_event_schemas_count_up_per_subject() -> None:
    """A new event schema is the next version; one that is there keeps its version."""
    first = event_record(NAMES, 7, ONE, {})
    assert (first.subject, first.version) == ("dev.loans.events-value", 1)
    second = event_record(NAMES, 8, TWO, table(first))
    assert second.version == 2
    assert event_record(NAMES, 7, ONE, table(first, second)) == first


def test_publishing_twice_writes_once() -> None:
    """What is on the topic is not written again, nor is a schema whose documentation alone has changed."""
    wanted = [SchemaRecord.of("s", 1, 1, ONE), SchemaRecord.of("t", 1, 1, ONE)]
    assert missing(wanted, {}) == wanted
    assert missing(wanted, table(wanted[0])) == wanted[1:]
    assert missing([SchemaRecord.of("s", 1, 1, DOCUMENTED)], table(*wanted)) == []


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(SchemaRecord.of("mine", 1, 1, TWO), id="id taken by another schema"),
        pytest.param(SchemaRecord.of("theirs", 1, 2, TWO), id="version taken by another id"),
    ],
)
def test_what_is_taken_is_never_overwritten(wanted: SchemaRecord) -> None:
    """An id or version of somebody else's is refused: a reader who trusts it would read nonsense."""
    with pytest.raises(ContractError, match="holds another schema as theirs version 1"):
        missing([wanted], table(SchemaRecord.of("theirs", 1, 1, ONE)))


def test_schema_text_is_the_schema() -> None:
    """The text that other tools parse is the released schema, documentation included."""
    entry = schema_lock()[0]
    record = next(record for record in released_records("", ["loans"]) if record.id == entry.id)
    assert json.loads(record.schema) == entry.schema
