"""Our schemas in a user's registry: once, under its rules, and what it refuses is shown whole."""

from collections.abc import Iterator

import pytest

from freshet.avro.schema_records import SchemaRecord, released_records
from freshet.operate.operate_error import OperateError
from freshet.operate.registration import register, registry_at
from support.schema_registry import StandInRegistry


@pytest.fixture
def registry() -> Iterator[StandInRegistry]:
    """An empty one."""
    with StandInRegistry().running() as running:
        yield running


def test_every_version_is_registered_once(registry: StandInRegistry) -> None:
    """Under TopicNameStrategy's subjects; again, nothing is written."""
    records, client = released_records("t.", ["loans"]), registry_at(registry.url, "")
    first = register(client, records)
    assert {one.state for one in first} == {"registered"}
    assert {*registry.subjects} == {record.subject for record in records}
    assert "t.loans.predictions-value" in registry.subjects
    writes = len([asked for asked in registry.asked if asked.path.endswith("/versions")])
    again = register(client, records)
    assert {one.state for one in again} == {"there already"}
    assert [one.their_id for one in again] == [one.their_id for one in first]
    assert len([asked for asked in registry.asked if asked.path.endswith("/versions")]) == writes


def test_a_refusal_is_shown_whole_and_stops_its_subject_alone(registry: StandInRegistry) -> None:
    """Its later versions are left out: the rule is about their order."""
    records = [
        SchemaRecord.of(subject, version, 1, {"type": "int", "v": version}) for subject in "ab" for version in (1, 2)
    ]
    registry.refuses = {"a"}
    done = register(registry_at(registry.url, ""), records)
    assert [one.state for one in done] == ["refused", "refused", "registered", "registered"]
    assert done[0].why == "a: READER_FIELD_MISSING_DEFAULT_VALUE"
    assert "an earlier version was refused: a: READER" in done[1].why


def test_a_registry_that_is_away_or_misspelt_is_told() -> None:
    """With what to do; the command line exits with 3 and 2."""
    with StandInRegistry().running() as gone:
        pass
    with pytest.raises(OperateError, match="does not answer") as away:
        register(registry_at(gone.url, ""), released_records("", []))
    assert away.value.meaning == "unreachable"
    with pytest.raises(OperateError, match="--registry") as misspelt:
        registry_at("registry:8081", "")
    assert misspelt.value.meaning == "usage"
