"""A producer may be ahead of `freshet apply`: its partition waits a while, the others flow."""

from typing import Any

import pytest

from freshet.avro.own_schemas import USER_ID_BIT, Schema, event_schema_id
from freshet.contracts.logic import Effect, Hold
from freshet.ingestion.core.logic import IngestionLogic
from support.ingestion import SCHEMA, SPEC_TEXT, applied, batch, dead, framed, loan, serving, written

NEWER: dict[str, Any] = {**SCHEMA, "fields": [*SCHEMA["fields"], {"name": "note", "type": "string", "default": ""}]}
NEWEST: dict[str, Any] = {**SCHEMA, "fields": [*NEWER["fields"], {"name": "more", "type": "int", "default": 0}]}
NEW_ID = event_schema_id(NEWER)


def newer(schema: Schema = NEWER, **but: Any) -> bytes:
    """An application from a producer that writes another schema."""
    return framed({**loan(**but), "note": "n", "more": 1}, schema)


def held(effects: list[Effect]) -> list[int]:
    """Partitions that are held."""
    return [effect.partition for effect in effects if isinstance(effect, Hold)]


def ticks(logic: IngestionLogic, *now_s: float, of: int = 0) -> bool:
    """Whether the partition waits still when so much time has passed."""
    for at in now_s:
        logic.on_tick(int(at * 1000))
    return bool(logic.waits("events", of))


def test_unknown_schema_holds_only_its_partition() -> None:
    """No row of the partition is answered, good or bad; the others are."""
    values = [framed(loan(event_id="a")), None, newer(), framed(loan(event_id="b")), None]
    effects = list(serving().on_batch(batch(values, partitions=[1, 1, 1, 0, 0])))
    assert held(effects) == [1]
    assert str(NEW_ID) in next(effect.reason for effect in effects if isinstance(effect, Hold))
    assert [row.record["event_id"] for row in written(effects)] == ["b"]
    assert list(dead(effects)) == [4]


def test_publishing_the_schema_lets_the_partition_go_on() -> None:
    """The rows then read are answered under the new schema, and those of the old one still are."""
    logic = serving()
    logic.on_batch(batch([newer()]))
    assert ticks(logic, 0, 1)
    logic.fold(applied(schema=NEWER, number=2))
    assert not ticks(logic, 2, 3)
    effects = list(
        logic.on_batch(batch([newer(event_id="new"), framed(loan(event_id="old")), newer(event_id="newer")]))
    )
    assert [row.record["event_id"] for row in written(effects)] == ["new", "old", "newer"]
    assert dead(effects) == {}


def test_schema_that_nobody_publishes_becomes_dead_letters() -> None:
    """After 60 s, measured from the first tick that could see it, the rows are set aside and nothing waits again."""
    logic = serving()
    logic.on_batch(batch([newer()]))
    assert ticks(logic, 1000, 1059.9)
    assert not ticks(logic, 1060)
    effects = list(logic.on_batch(batch([framed(loan()), newer()])))
    assert held(effects) == []
    assert dead(effects)[1].reason == "input_schema_unknown"
    assert dead(effects)[1].schema_id == NEW_ID
    assert len(written(effects)) == 1


def test_given_up_schema_is_welcome_later() -> None:
    """Giving up is not for ever: once published, the id is read."""
    logic = serving()
    logic.on_batch(batch([newer()]))
    ticks(logic, 0, 60)
    logic.fold(applied(schema=NEWER, number=2))
    assert len(written(logic.on_batch(batch([newer()])))) == 1


def test_unrelated_change_does_not_prolong_the_wait() -> None:
    """A new record releases the partition to try again; the time that its id has is not renewed."""
    logic = serving()
    logic.on_batch(batch([newer()]))
    ticks(logic, 0)
    logic.fold(applied(SPEC_TEXT.replace("min: 18", "min: 17"), number=2))
    assert not ticks(logic, 50)
    assert held(list(logic.on_batch(batch([newer()])))) == [0]
    assert ticks(logic, 59)
    assert not ticks(logic, 60)


def test_all_strange_ids_of_a_partition_wait_together() -> None:
    """A producer that invents ids stops a partition for one wait, not for one wait each."""
    logic = serving()
    strange = [b"\0" + (USER_ID_BIT + number).to_bytes(4, "big") for number in range(1, 50)]
    logic.on_batch(batch(strange))
    assert not ticks(logic, 0, 60)
    assert len(dead(logic.on_batch(batch(strange)))) == 49


@pytest.mark.parametrize("identifier", [0, 1, 100_001, USER_ID_BIT - 1, 2 * USER_ID_BIT, (1 << 32) - 1])
def test_an_id_that_apply_never_gives_stalls_nobody(identifier: int) -> None:
    """A schema registry's id is refused at once, says what to do, and the rows beside it are answered."""
    effects = list(serving().on_batch(batch([framed(loan()), framed(loan(), identifier=identifier)])))
    assert held(effects) == []
    assert len(written(effects)) == 1
    assert dead(effects)[1].reason == "input_schema_unknown"
    assert "freshet schemas serve" in dead(effects)[1].detail


def test_partition_that_was_taken_away_is_not_released() -> None:
    """What waits belongs to the owner: after a revoke or a new assignment nothing is left of it."""
    logic = serving()
    logic.on_batch(batch([newer(), newer()], partitions=[0, 1]))
    logic.on_revoke("events", 0)
    logic.on_assign("events", 1, "")
    assert not ticks(logic, 0, of=0)
    assert not ticks(logic, 0, of=1)


def test_pipeline_waits_for_its_record() -> None:
    """Without a record nothing is consumed, answered or set aside; with one, what waited is released."""
    logic = IngestionLogic("loans")
    assert "freshet apply" in (logic.unready() or "")
    logic.on_assign("feedback", 2, "")
    assert "freshet apply" in logic.waits("feedback", 2)
    assert held(list(logic.on_batch(batch([framed(loan())])))) == [0]
    logic.fold(applied())
    assert logic.unready() is None
    assert not logic.waits("feedback", 2)
    assert not logic.waits("events", 0)


def test_records_may_repeat_and_arrive_late() -> None:
    """A lower number never replaces a higher one, but the schema it brings is readable from then on."""
    logic = IngestionLogic("loans")
    logic.fold(applied(schema=NEWEST, number=3))
    assert held(list(logic.on_batch(batch([newer()])))) == [0]
    logic.fold(applied(SPEC_TEXT.replace("min: 18", "min: 41"), NEWER, number=2))
    assert len(written(logic.on_batch(batch([newer(age=40), newer(NEWEST, age=40)])))) == 2
    logic.fold(applied(schema=NEWEST, number=3))
    assert len(written(logic.on_batch(batch([newer(age=40), newer(NEWEST, age=40)])))) == 2


def test_record_that_cannot_be_run_stops_the_pipeline_with_its_reason() -> None:
    """The older specification does not go on silently; a later good record heals it."""
    logic = serving()
    logic.fold(applied(SPEC_TEXT.replace("kind: log", "kind: from-the-future"), number=2))
    assert "unknown kind 'from-the-future'" in (logic.unready() or "")
    assert held(list(logic.on_batch(batch([framed(loan())])))) == [0]
    logic.fold(applied(number=3))
    assert not ticks(logic, 0)
    assert len(written(logic.on_batch(batch([framed(loan())])))) == 1


def test_records_of_other_pipelines_are_not_ours() -> None:
    """The topic carries all pipelines."""
    logic = IngestionLogic("cards")
    logic.fold(applied())
    assert logic.unready() is not None
