"""What an ingestion worker tells of itself."""

from freshet.contracts.logic import Announce
from freshet.contracts.messages import PartitionState, WorkerState
from freshet.contracts.worker import INTERVAL_MS, Process
from freshet.ingestion.core.logic import IngestionLogic
from support.ingestion import applied


def said(logic: IngestionLogic, now_ms: int) -> WorkerState | None:
    """What it announces at that time, if anything."""
    states = [effect.message for effect in logic.on_tick(now_ms) if isinstance(effect, Announce)]
    assert len(states) <= 1
    assert all(isinstance(state, WorkerState) for state in states)
    return states[0] if states else None  # type: ignore[return-value]


def at(role: str, partition: int, held: str = "") -> PartitionState:
    """A partition as ingestion reports it."""
    return PartitionState(partition=partition, epoch=0, fallback=0, held=held, role=role)


def test_it_says_who_it_is_what_it_has_and_what_waits() -> None:
    """At once when something changed, else once an interval: nobody takes its slot while it does."""
    logic = IngestionLogic("loans", "ingestion/loans/0", process=Process("node-7", 4711, 17))
    state = said(logic, 0)
    assert state == WorkerState(
        instance="ingestion/loans/0",
        service="ingestion",
        pipeline="loans",
        interval_ms=INTERVAL_MS,
        host="node-7",
        pid=4711,
        started_ms=17,
    )
    list(logic.on_assign("events", 1, ""))
    list(logic.on_assign("feedback", 0, ""))
    why = logic.unready() or ""
    state = said(logic, 1)
    assert state is not None
    assert state.partitions == (at("events", 1, why), at("feedback", 0, why))
    assert said(logic, INTERVAL_MS) is None
    assert said(logic, INTERVAL_MS + 1) is not None
    logic.fold(applied())
    logic.on_revoke("feedback", 0)
    state = said(logic, INTERVAL_MS + 2)
    assert state is not None
    assert state.partitions == (at("events", 1),)


def test_its_last_word_is_that_it_leaves() -> None:
    """Then its slot is free at once, on any machine."""
    logic = IngestionLogic("loans", "ingestion/loans/0")
    list(logic.on_assign("events", 1, ""))
    (effect,) = logic.on_leave()
    assert isinstance(effect, Announce)
    assert (effect.role, effect.key) == ("workers", "ingestion/loans/0")
    assert isinstance(effect.message, WorkerState)
    assert effect.message.leaving
    assert effect.message.partitions == ()
