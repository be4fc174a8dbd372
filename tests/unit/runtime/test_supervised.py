"""One pipeline's trouble is its own, a hopeless worker leaves its partitions, and a slot has one owner."""

import threading
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import pytest
from structlog.testing import capture_logs

from freshet.contracts.logic import Decider, Effect, LeaveError
from freshet.inference.core.positions import ModelMissingError
from freshet.runtime import process
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.protocol import FatalError, RetriableError
from freshet.runtime.clock import ManualClock
from freshet.runtime.data_loop import DataLoop
from freshet.runtime.service import ControlService
from freshet.runtime.settings import Settings, SettingsError, load_settings
from freshet.runtime.slot import hold_slot
from freshet.runtime.supervised import Supervised
from freshet.runtime.telemetry import Metrics
from freshet.runtime.turners import Turners
from support.loops import NAMES, Answerer, Stand


class Ill:
    """A loop that fails at its first turn."""

    beat_s = 0.0
    made = closed = 0

    def __init__(self, error: FatalError | LeaveError) -> None:
        self._error = error

    def make(self) -> "Ill":
        """Count it."""
        self.made += 1
        return self

    def step(self, timeout_s: float) -> int:
        """Fail."""
        raise self._error

    def unready(self) -> str | None:
        """It never says."""
        return None

    def close(self) -> None:
        """Count it."""
        self.closed += 1


def test_one_pipelines_fatal_error_does_not_stop_its_neighbour() -> None:
    """It is closed and made anew after 1, 2, 4 … s, and says why; the other one answers everything."""
    stand, ill = Stand(), Ill(FatalError("a/0 was reset to 0."))
    bad = Supervised(ill.make, stand.clock, "a")
    good = Supervised(lambda: stand.loop(Answerer()), stand.clock, "b")
    stand.feed(20)
    for _ in range(200):
        stand.clock.advance(60)
        good.step(0.0)
        bad.step(0.0)
    assert stand.answers() == stand.inputs()
    assert ill.made == ill.closed == 4
    assert bad.unready() == "pipeline a: a/0 was reset to 0."


def test_a_process_ends_when_nothing_is_left_that_serves() -> None:
    """Its supervisor sees the exit code and the reason."""
    bad = Supervised(Ill(FatalError("no rights.")).make, ManualClock(), "a")
    with pytest.raises(FatalError, match="no rights"):
        Turners([bad], threading.Event()).run()


def test_a_broker_that_goes_away_while_a_loop_is_made_ends_no_process() -> None:
    """Nothing is down for good: the loop is made a second later, again after each check, and the log says why."""
    clock, stop, made = ManualClock(), threading.Event(), list[int]()

    def make() -> Turned:
        made.append(clock.elapsed_ms())
        if len(made) < 4:
            raise RetriableError("reading the ends of workers: the leader is newer than the broker.")
        return Turned(stop.set)

    started = Supervised(make, clock, "")
    with capture_logs() as logs:
        Turners([started], stop).run()
    assert [later - sooner for sooner, later in pairwise(made)] == [1_000] * 3
    assert [line["event"] for line in logs] == ["retrying"] * 3
    assert not started.failed


def test_what_a_loop_waits_for_is_said_and_no_failure() -> None:
    """While Kafka does not answer, the process is not ready, and says why."""
    waiting = Supervised(lambda: pytest.fail("made without Kafka"), ManualClock(), "a", away)
    waiting.step(0.1)
    assert (waiting.unready(), waiting.failed) == ("no broker answers.", False)


def away(*_: object, **__: object) -> NoReturn:
    """Kafka does not answer."""
    raise RetriableError("no broker answers.")


def test_an_owner_that_starts_as_kafka_goes_away_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry is built by what reads the ends of topics, and its process went with the first one that failed."""
    monkeypatch.setattr(KafkaBus, "spans", away)
    toy = ControlService("toy", decider=lambda _: NoDecider())
    settings = load_settings("127.0.0.1:1")
    (owner,) = process._build(toy, [], settings, Metrics())
    owner.step(0.0)
    assert owner.unready() == "no broker answers."
    owner.close()


class NoDecider(Decider):
    """Nobody asks it anything."""

    follows = ("commands",)


class Turned:
    """A loop that does something at each turn."""

    beat_s = 0.0

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act
        self.gone = threading.Event()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self.gone.is_set()

    def step(self, timeout_s: float) -> int:
        """Do it."""
        assert not self.closed, "turned by somebody after it was closed"
        self._act()
        return 0

    def unready(self) -> str | None:
        """It never says."""
        return None

    def close(self) -> None:
        """Note it."""
        assert not self.closed, "closed twice"
        self.gone.set()


def test_a_call_that_blocks_one_pipeline_delays_no_other() -> None:
    """While one waits for its coordinator, the other one turns on; at the end both have finished their turns."""
    stop, blocked, answer = threading.Event(), threading.Event(), threading.Event()

    def wait() -> None:
        blocked.set()
        answer.wait()

    turns = 0

    def count() -> None:
        nonlocal turns
        if blocked.is_set():
            turns += 1
        if turns == 100:
            stop.set()

    loops = [Turned(wait), Turned(count)]
    turners = Turners(loops, stop)
    turners.run()
    assert turns >= 100
    answer.set()
    turners.end()
    assert all(loop.closed for loop in loops)


def test_a_call_that_blocks_one_pipeline_keeps_no_other_in_its_group() -> None:
    """Told to stop, each loop says good-bye by itself: the process may be ended before the blocked one returns."""
    stop, blocked, answer = threading.Event(), threading.Event(), threading.Event()

    def wait() -> None:
        blocked.set()
        answer.wait()

    others = [Turned(stop.wait), Turned(blocked.wait)]
    loops = [others[0], Turned(wait), others[1]]
    turners = Turners(loops, stop)

    def run() -> None:
        turners.run()
        turners.end()

    told = threading.Thread(target=run)
    told.start()
    assert blocked.wait(10)
    stop.set()
    assert all(loop.gone.wait(10) for loop in others)
    assert not loops[1].closed
    answer.set()
    told.join()
    assert loops[1].closed


@pytest.mark.parametrize("neighbours", [0, 1])
def test_a_loop_that_cannot_close_is_told_once_all_others_have_closed(neighbours: int) -> None:
    """Not swallowed, and nobody else stays in its group for it."""
    stop = threading.Event()
    stop.set()
    good, bad = [Turned(lambda: None) for _ in range(neighbours)], Turned(lambda: None)
    bad.close = lambda: 1 // 0  # type: ignore[method-assign,assignment]
    turners = Turners([bad, *good], stop)
    turners.run()
    with pytest.raises(ZeroDivisionError):
        turners.end()
    assert all(loop.closed for loop in good)


def test_what_one_loop_does_not_survive_ends_the_process() -> None:
    """A bug in one pipeline's loop: the others finish their turns, and it is raised where the process is run."""

    def fail() -> None:
        raise ZeroDivisionError

    turners = Turners([Turned(lambda: None), Turned(fail)], threading.Event())
    with pytest.raises(ZeroDivisionError):
        turners.run()
    turners.end()


class WithoutModels(Answerer):
    """Gives up as inference does where nothing can be loaded, while `ill` holds anything."""

    def __init__(self, ill: list[str]) -> None:
        super().__init__()
        self._ill = ill

    def on_tick(self, now_ms: int) -> Iterable[Effect]:
        """Leave once it has a partition."""
        if self._ill and self.assigned:
            raise ModelMissingError(self._ill[0])
        return super().on_tick(now_ms)


def test_a_hopeless_fixed_slot_leaves_its_partitions_to_a_healthy_neighbour() -> None:
    """It stays alive and away for longer than the session, so its partitions go to who can answer; then it comes back.

    Still hopeless, it goes again, for twice as long; healed, it gets partitions and answers.
    """
    stand, ill, made = Stand(), list[str](), list[WithoutModels]()

    def make() -> DataLoop:
        made.append(WithoutModels(ill))
        return stand.loop(made[-1], "0")

    away = Supervised(make, stand.clock, "p")
    healthy = Supervised(lambda: stand.loop(Answerer(), "1"), stand.clock, "p")

    def turn(times: int = 20) -> None:
        for _ in range(times):
            stand.clock.advance(60)
            away.step(0.0)
            healthy.step(0.0)

    def session_ends() -> None:
        (member,) = (name for name in stand.cluster.group(NAMES.group("inference")).members if "inference-0" in name)
        stand.cluster.expire(member)

    turn()
    stand.feed(10, 0)
    stand.feed(10, 1)
    turn()
    assert stand.answers() == stand.inputs()
    ill.append("no model here.")
    turn(2)
    assert away.unready() == "pipeline p: no model here."
    stand.feed(10, 0)
    stand.feed(10, 1)
    turn()
    assert 0 < len(stand.inputs()) - len(stand.answers()) == 10, "its place was given away before its session ended"
    session_ends()
    turn()
    assert stand.answers() == stand.inputs()
    stand.clock.advance(30_000)
    turn(1)
    assert len(made) == 1, "it came back before its session had ended"
    stand.clock.advance(10_000)
    turn()
    assert (len(made), away.unready()) == (2, "pipeline p: no model here.")
    session_ends()
    ill.clear()
    stand.clock.advance(60_000)
    turn()
    assert len(made) == 2
    stand.clock.advance(20_000)
    turn()
    assert len(made) == 3
    assert made[2].assigned
    stand.feed(10, 0)
    stand.feed(10, 1)
    turn()
    assert stand.answers() == stand.inputs()


def test_the_second_process_in_a_slot_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    """By name and process; once the first is gone, however it ended, the slot is free."""
    first = hold_slot(tmp_path, "freshet.inference.p.0", "0")
    assert first is not None
    with pytest.raises(SettingsError, match=r"slot 0 .* is taken by process \d+"):
        hold_slot(tmp_path, "freshet.inference.p.0", "0")
    other = hold_slot(tmp_path, "freshet.inference.p.1", "1")
    first.close()
    again = hold_slot(tmp_path, "freshet.inference.p.0", "0")
    assert other is not None
    assert again is not None
    other.close()
    again.close()


def test_an_elastic_worker_is_named_after_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pods that are both slot 0 would fence each other without end."""
    monkeypatch.setattr("socket.gethostname", lambda: "pod-7")
    given: dict[str, Any] = {"KAFKA_BOOTSTRAP_SERVERS": "x"}
    assert Settings(**given, slots="elastic").slot == "pod-7"
    assert Settings(**given, slots="elastic", slot="a").slot == "a"
    assert Settings(**given).slot == "0"
