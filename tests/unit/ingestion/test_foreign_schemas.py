"""Events with the ids of a user's own registry: asked for once, waited for while it is down, refused for a reason."""

import json
from typing import Any

import pytest

from freshet.avro.written_schema import FoundSchema
from freshet.contracts.logic import Effect, Hold, Outcome, Start
from freshet.ingestion.core.foreign_schemas import AskForSchema
from freshet.ingestion.core.logic import IngestionLogic
from freshet.runtime.registry_client import RegistryError
from support.ingestion import SCHEMA, SPEC_TEXT, applied, batch, dead, framed, loan, serving, written

URL = "http://registry.example:8081"
WITH_REGISTRY = f"{SPEC_TEXT}\nregistry: {URL}\n"
EXTENDED: dict[str, Any] = {**SCHEMA, "fields": [*SCHEMA["fields"], {"name": "note", "type": "string"}]}
"""What a producer may write that is ahead: a field more, without a default."""


def held(effects: list[Effect]) -> list[int]:
    """Partitions that are held."""
    return [effect.partition for effect in effects if isinstance(effect, Hold)]


def asked(logic: IngestionLogic, now_s: float) -> list[int]:
    """The ids that it asks for at this time."""
    started = [effect.job for effect in logic.on_tick(int(now_s * 1000)) if isinstance(effect, Start)]
    assert all(isinstance(job, AskForSchema) and job.registry == URL for job in started)
    return [job.schema_id for job in started if isinstance(job, AskForSchema)]


def answers(logic: IngestionLogic, identifier: int, schema: Any = None, **more: Any) -> None:
    """The registry's answer: this schema, or that it does not know the id."""
    text = None if schema is None else schema if isinstance(schema, str) else json.dumps(schema)
    logic.on_job(Outcome(AskForSchema(URL, identifier), FoundSchema(text, **more)))


def fails(logic: IngestionLogic, identifier: int) -> None:
    """No answer came."""
    logic.on_job(Outcome(AskForSchema(URL, identifier), error=RegistryError("the schema registry is away.")))


def foreign(identifier: int = 7, schema: Any = EXTENDED, **but: Any) -> bytes:
    """An event of a producer that uses the registry."""
    return framed({**loan(**but), "note": "n"}, schema, identifier)


@pytest.fixture
def logic() -> IngestionLogic:
    """Loans, with a registry."""
    return serving(WITH_REGISTRY)


def test_an_unknown_id_is_asked_for_once_and_then_read_for_ever(logic: IngestionLogic) -> None:
    """Its partition waits meanwhile, the others flow; events with the id of `apply` are read beside them."""
    effects = list(logic.on_batch(batch([foreign(event_id="a"), framed(loan(event_id="b"))], partitions=[1, 0])))
    assert held(effects) == [1]
    assert [row.record["event_id"] for row in written(effects)] == ["b"]
    assert URL in logic.waits("events", 1)
    assert asked(logic, 0) == [7]
    assert asked(logic, 1) == []
    answers(logic, 7, EXTENDED)
    assert logic.waits("events", 1) == ""
    for _ in range(2):
        effects = list(logic.on_batch(batch([foreign(event_id="a"), framed(loan(event_id="b"))], partitions=[1, 0])))
        assert [row.record["event_id"] for row in written(effects)] == ["a", "b"]
    assert asked(logic, 100) == []


def test_while_the_registry_is_down_events_wait_and_nothing_is_refused(logic: IngestionLogic) -> None:
    """One request at a time, ever more seldom, and the state says why."""
    logic.on_batch(batch([foreign(7), foreign(8)]))
    assert asked(logic, 0) == [7, 8]
    fails(logic, 7)
    fails(logic, 8)
    assert "the schema registry is away. It is asked again in 2 s" in logic.waits("events", 0)
    times = []
    for second in range(1, 200):
        if found := asked(logic, second):
            assert len(found) == 1
            times.append(second)
            fails(logic, found[0])
    assert times[0] == 2
    assert len(times) < 12
    assert logic.waits("events", 0)
    effects = list(logic.on_batch(batch([foreign(7), foreign(8)])))
    assert held(effects) == [0]
    assert dead(effects) == {}
    found = asked(logic, 300)
    assert len(found) == 1
    answers(logic, found[0], EXTENDED)
    assert asked(logic, 301) == [15 - found[0]]
    answers(logic, 15 - found[0], EXTENDED)
    assert len(written(logic.on_batch(batch([foreign(7), foreign(8)])))) == 2


def test_an_id_that_the_registry_denies_is_a_dead_letter(logic: IngestionLogic) -> None:
    """After it was denied three times, since a follower may be behind; later it is asked for again, once."""
    logic.on_batch(batch([foreign()]))
    for second in range(3):
        assert logic.waits("events", 0)
        assert asked(logic, second) == [7]
        answers(logic, 7)
    effects = list(logic.on_batch(batch([foreign(), framed(loan())])))
    assert held(effects) == []
    assert dead(effects)[0].reason == "input_schema_unknown"
    assert f"{URL} does not know schema id 7" in dead(effects)[0].detail
    assert len(written(effects)) == 1
    asked(logic, 70)
    assert held(list(logic.on_batch(batch([foreign()])))) == [0]
    assert asked(logic, 71) == [7]
    answers(logic, 7, EXTENDED)
    assert len(written(logic.on_batch(batch([foreign()])))) == 1


@pytest.mark.parametrize(
    ("schema", "more", "told"),
    [
        ({**SCHEMA, "fields": SCHEMA["fields"][:-1]}, {}, "loan"),
        ({**SCHEMA, "name": "Another"}, {}, "name"),
        ({"type": "string"}, {}, ""),
        ("[1]", {}, "no record"),
        ("{", {}, "not JSON"),
        ("[" * 100_000, {}, "not JSON"),
        (SCHEMA, {"kind": "PROTOBUF"}, "PROTOBUF"),
        (SCHEMA, {"references": True}, "refers to other schemas"),
    ],
)
def test_a_schema_that_does_not_fit_has_a_reason_of_its_own(
    logic: IngestionLogic, schema: Any, more: dict[str, Any], told: str
) -> None:
    """The sentence says what does not fit."""
    logic.on_batch(batch([foreign()]))
    assert asked(logic, 0) == [7]
    answers(logic, 7, schema, **more)
    effects = list(logic.on_batch(batch([foreign()])))
    assert held(effects) == []
    assert dead(effects)[0].reason == "input_schema_unfit"
    assert told in dead(effects)[0].detail
    assert asked(logic, 100) == []


def test_a_changed_meaning_does_not_fit(logic: IngestionLogic) -> None:
    """Microseconds would be read as milliseconds, without an error."""
    fields = [
        {**field, "type": {"type": "long", "logicalType": "timestamp-micros"}} if field["name"] == "at" else field
        for field in SCHEMA["fields"]
    ]
    logic.on_batch(batch([foreign()]))
    asked(logic, 0)
    answers(logic, 7, {**SCHEMA, "fields": fields})
    assert dead(list(logic.on_batch(batch([foreign()]))))[0].reason == "input_schema_unfit"


def test_a_new_event_schema_judges_found_ones_anew(logic: IngestionLogic) -> None:
    """Without asking again: an id never changes its schema."""
    shorter = {**SCHEMA, "fields": SCHEMA["fields"][:-1]}
    logic.on_batch(batch([framed(loan(), shorter, 7)]))
    asked(logic, 0)
    answers(logic, 7, shorter)
    loose = {**SCHEMA, "fields": [*SCHEMA["fields"][:-1], {**SCHEMA["fields"][-1], "default": 1.0}]}
    logic.fold(applied(WITH_REGISTRY, schema=loose, number=2))
    assert asked(logic, 1) == []
    assert len(written(logic.on_batch(batch([framed(loan(), shorter, 7)])))) == 1


def test_another_registry_knows_other_schemas(logic: IngestionLogic) -> None:
    """What one said of an id says nothing of the other's; a late answer of the first is not believed."""
    logic.on_batch(batch([foreign()]))
    asked(logic, 0)
    logic.fold(applied(WITH_REGISTRY.replace("8081", "9091"), number=2))
    answers(logic, 7, EXTENDED)
    assert held(list(logic.on_batch(batch([foreign()])))) == [0]


def test_without_a_registry_its_ids_hold_nothing() -> None:
    """As before: such an id can never be published."""
    logic = serving()
    effects = list(logic.on_batch(batch([foreign()])))
    assert held(effects) == []
    assert "freshet schemas serve" in dead(effects)[0].detail
    assert list(logic.on_tick(0)) == []


def test_a_producer_of_random_ids_does_not_hold_its_partition_for_ever(logic: IngestionLogic) -> None:
    """After so many unknown ids no other is asked for; ids that are known are still read."""
    values = [foreign(identifier) for identifier in range(1, 1000)]
    assert held(list(logic.on_batch(batch(values)))) == [0]
    requests, second = 0, 0
    while logic.waits("events", 0):
        second += 1
        for identifier in asked(logic, second):
            requests += 1
            answers(logic, identifier)
    assert 200 <= requests < 250
    effects = list(logic.on_batch(batch([*values, framed(loan())])))
    assert held(effects) == []
    assert len(dead(effects)) == 999
    assert "was not asked for 999" in dead(effects)[998].detail
    assert len(written(effects)) == 1


def test_an_id_nobody_waits_for_is_not_asked_for(logic: IngestionLogic) -> None:
    """The partition went to another worker before its turn came."""
    logic.on_batch(batch([foreign()]))
    logic.on_revoke("events", 0)
    assert asked(logic, 0) == []
