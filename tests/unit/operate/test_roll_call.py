"""Beats are stamped by the broker, whose clock may be minutes away from ours."""

from collections.abc import Callable

import pytest

from freshet.avro.control import encode
from freshet.contracts.messages import WorkerState
from freshet.contracts.topic_table import TopicNames
from freshet.contracts.worker import about
from freshet.ledger.ledger import Ledger
from freshet.operate.attendance import judging_lines, retraining_lines, service_line, waiting_lines
from freshet.operate.patience import missing_for_answer
from freshet.operate.presence import judging, presence
from freshet.operate.progress import silent
from freshet.operate.roll_call import roll_call
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import Send

NAMES = TopicNames("t.")
MINUTE_MS = 60_000


@pytest.fixture
def bus() -> MemoryBus:
    """With the topic of the workers and nobody on it."""
    made = MemoryBus(MemoryCluster(), NAMES)
    made.cluster.create_topic(NAMES.topic("workers"), 1)
    return made


def beat(bus: MemoryBus, interval_ms: int = 3000, *, leaving: bool = False, service: str = "registry") -> None:
    """The registry, or another owner, says how it is; the broker stamps it."""
    owner = f"{service}/owner"
    state = WorkerState(instance=owner, service=service, pipeline="", interval_ms=interval_ms, leaving=leaving)
    bus.producer().send(Send("workers", [owner.encode()], [encode(state)]))


def seen(
    bus: MemoryBus, skew_ms: int, then: Callable[[], None] = lambda: None, say: Callable[[str], object] = silent
) -> str:
    """Its health for a machine whose clock is so much ahead of the broker's; `then` happens after the first look."""

    def clock_ms() -> int:
        now_ms = bus.cluster.now_ms + skew_ms
        then()
        return now_ms

    called = roll_call(bus, say=say, clock_ms=clock_ms)
    return service_line(presence(called.ledger, "registry", "", called.now_ms)).health


@pytest.mark.parametrize("skew_ms", [MINUTE_MS, -MINUTE_MS])
def test_a_service_that_beats_is_there_whatever_our_clock_says(bus: MemoryBus, skew_ms: int) -> None:
    """Its next beat tells the broker's time."""
    beat(bus)
    assert seen(bus, skew_ms, lambda: beat(bus)) == "ok"


@pytest.mark.parametrize("skew_ms", [0, MINUTE_MS, -MINUTE_MS])
def test_a_service_that_beats_no_more_is_gone_whatever_our_clock_says(bus: MemoryBus, skew_ms: int) -> None:
    """A clock that is behind would call it alive until it has caught up."""
    beat(bus, interval_ms=1)
    bus.cluster.advance(10)
    assert seen(bus, skew_ms) == "bad"


def test_what_the_registry_waits_for_is_told_of_its_pipeline(bus: MemoryBus) -> None:
    """By `doctor` of all, by `model status` of one; not by a registry that has gone."""
    warnings = (about("loans", "no key."), about("loans-2", "no key."))
    state = WorkerState(instance="r", service="registry", pipeline="", interval_ms=3000, warnings=warnings)
    bus.producer().send(Send("workers", [b"r"], [encode(state)]))
    present = presence(roll_call(bus, clock_ms=lambda: bus.cluster.now_ms).ledger, "registry", "", bus.cluster.now_ms)
    assert [line.seen for line in waiting_lines(present)] == list(warnings)
    assert [line.seen for line in waiting_lines(present, "loans")] == ["pipeline loans: no key."]
    assert {line.health for line in waiting_lines(present)} == {"bad"}
    assert list(waiting_lines(presence(Ledger(), "registry", "", 0))) == []


def test_nobody_is_listened_for_without_need(bus: MemoryBus) -> None:
    """Who beat just now is there, and who said good-bye is not: a second look would cost seconds, and is told."""
    told: list[str] = []
    beat(bus)
    assert seen(bus, 0, say=told.append) == "ok"
    beat(bus, leaving=True)
    bus.cluster.advance(MINUTE_MS)
    assert seen(bus, 0, say=told.append) == "bad"
    assert told == []
    beat(bus)
    assert seen(bus, MINUTE_MS, lambda: beat(bus), told.append) == "ok"
    assert told == ["listening for the services' next beat, for 9 s at most"]


def test_who_an_answer_waits_for_is_told_by_the_brokers_clock(bus: MemoryBus) -> None:
    """Services that beat are not missed by a machine whose clock is a minute ahead; without any, all three are."""
    bus.cluster.create_topic(NAMES.topic("rollouts"), 1)
    assert [said.split(" ")[1] for said in missing_for_answer(roll_call(bus, "rollouts"), "loans")] == [
        "ingestion",
        "model",
        "inference",
    ]

    def beats() -> None:
        for service in ("ingestion", "inference"):
            state = WorkerState(instance=f"{service}-0", service=service, pipeline="loans", interval_ms=3000)
            bus.producer().send(Send("workers", [f"loans/{service}".encode()], [encode(state)]))

    def clock_ms() -> int:
        beats()
        return bus.cluster.now_ms + MINUTE_MS

    beats()
    (missing,) = missing_for_answer(roll_call(bus, "rollouts", clock_ms=clock_ms), "loans")
    assert missing.startswith("No model answers yet")


def test_triggers_without_retraining_are_told_and_nothing_else_is(bus: MemoryBus) -> None:
    """Who has no triggers needs no retraining; where it beats that is told to everybody."""

    def told(*waiting: str) -> list[tuple[str, str]]:
        called = roll_call(bus, clock_ms=lambda: bus.cluster.now_ms)
        lines = retraining_lines(presence(called.ledger, "retraining", "loans", called.now_ms), waiting)
        return [(line.health, line.do) for line in lines if not waiting or line.health == "ok" or "loans" in line.seen]

    assert told() == []
    assert told("loans") == [("warn", "freshet run retraining")]
    beat(bus, service="retraining")
    assert told() == told("loans") == [("ok", "")]
    beat(bus, service="retraining", leaving=True)
    assert told() == []
    assert told("loans") == [("bad", "freshet run retraining")]


def test_every_service_of_a_pipeline_is_told_of_and_those_never_started_in_one_line(bus: MemoryBus) -> None:
    """The others by what they last said; also one of another package, as soon as it was heard."""
    for service in ("drift-join", "drift-profile", "stranger"):
        worker = NAMES.worker(service, "0")
        state = WorkerState(instance=worker, service=service, pipeline="loans", interval_ms=3000)
        bus.producer().send(Send("workers", [worker.encode()], [encode(state)]))
    called = roll_call(bus, clock_ms=lambda: bus.cluster.now_ms)
    lines = list(judging_lines(judging(called.ledger, "loans", called.now_ms)))
    assert [(line.about, line.health) for line in lines] == [
        ("drift-join loans", "ok"),
        ("drift-profile loans", "ok"),
        ("stranger loans", "ok"),
        ("drift loans", "warn"),
    ]
    assert lines[-1].seen == "drift-evaluate, drift-detect, drift-compare have never been heard"
    assert lines[-1].do == "freshet run drift --pipelines loans"
