"""The guard around score calls: it ends the run, then the process, and touches no call that returns in time."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from freshet.inference.core.crash_blame import Death, Flight, Span
from freshet.inference.guard import ScoreGuard, limit_s
from freshet.inference.inflight import InFlightNote
from freshet.models.model_error import ModelError
from freshet.runtime.clock import ManualClock
from freshet.runtime.watchdog import EXIT_STUCK, Watchdog
from support.inference import FakeScorer, manifest, sound

FLIGHT = Flight("v1", (Span(0, 5, 9),), "d1")


@dataclass
class Interruptible(FakeScorer):
    """A model that counts how often it was interrupted."""

    interrupts: int = 0

    def interrupt(self) -> None:
        """See `Scorer`."""
        self.interrupts += 1


@dataclass
class Guarded:
    """A guard whose clock is turned by hand, and the exits that were asked for."""

    path: Path
    clock: ManualClock = field(default_factory=ManualClock)
    exits: list[int] = field(default_factory=list)
    scorer: Interruptible = field(default_factory=lambda: Interruptible(manifest("v1"), sound("v1")))

    def __post_init__(self) -> None:
        self.watchdog = Watchdog(now_s=lambda: self.clock.now_ms() / 1000, leave=self.exits.append)
        self.guard = ScoreGuard(InFlightNote.open(self.path, "T1"), self.watchdog)

    def after(self, seconds: float) -> None:
        """That much more time passes, and the watchdog looks every half second or less."""
        looks = max(1, round(seconds * 2))
        for _ in range(looks):
            self.clock.sleep(seconds / looks)
            self.watchdog.check()

    def suspended(self, seconds: float) -> None:
        """No code of this process runs for that long; then the watchdog looks, and is told."""
        self.clock.sleep(seconds)
        self.watchdog.check(seconds)

    def left(self) -> tuple[Death, ...]:
        """What a successor would find now."""
        return InFlightNote.open(self.path, "T1").deaths


@pytest.fixture
def guarded(tmp_path: Path) -> Guarded:
    """The pipeline allows 250 ms a batch, so a call may take 5 s."""
    return Guarded(tmp_path / "note")


def test_a_call_in_time_is_left_alone(guarded: Guarded) -> None:
    """However many there are, and however long there is none."""
    for _ in range(3):
        with guarded.guard(FLIGHT, guarded.scorer, 250):
            guarded.after(4.9)
        guarded.after(60)
    assert (guarded.scorer.interrupts, guarded.exits, guarded.left()) == (0, [], ())


def test_a_suspended_process_blames_no_call(guarded: Guarded) -> None:
    """Stopped for minutes in the middle of a call, twice: only time in which the watchdog looked is the call's."""
    with guarded.guard(FLIGHT, guarded.scorer, 250):
        guarded.after(1)
        guarded.suspended(300)
        guarded.after(1)
        guarded.suspended(6)
    assert (guarded.scorer.interrupts, guarded.exits, guarded.left()) == (0, [], ())


def test_a_call_that_overruns_is_interrupted_until_it_returns(guarded: Guarded) -> None:
    """It may be between two runs, so once is not enough; one that then fails is over, and is no death."""

    def overrun() -> None:
        with guarded.guard(FLIGHT, guarded.scorer, 250):
            guarded.after(5.1)
            guarded.after(0.5)
            raise ModelError("model_interrupted", "it was told to.")

    with pytest.raises(ModelError, match="model_interrupted"):
        overrun()
    guarded.after(60)
    assert (guarded.scorer.interrupts, guarded.exits, guarded.left()) == (2, [], ())


def test_a_call_that_ignores_it_costs_the_process(guarded: Guarded) -> None:
    """A second limit later; the successor learns that it hung, and with which rows."""
    with guarded.guard(FLIGHT, guarded.scorer, 250):
        guarded.after(5.1)
        guarded.after(5.0)
        assert guarded.exits == [EXIT_STUCK]
        assert guarded.left() == (Death(FLIGHT, hung=True),)


@pytest.mark.parametrize(("allowed_ms", "expected_s"), [(1, 5.0), (250, 5.0), (600, 12.0), (60_000, 19.0)])
def test_the_limit_is_generous_but_ends_before_the_group_loses_patience(allowed_ms: int, expected_s: float) -> None:
    """A call that is interrupted and then one that hangs end below max.poll.interval.ms, 60 s."""
    assert limit_s(allowed_ms) == expected_s


def test_a_guard_that_is_gone_is_watched_no_more(tmp_path: Path) -> None:
    """A pipeline that fails for good is built anew every minute: its watchdogs would pile up."""
    watchdog, stopped = Watchdog(), []
    watchdog.stop = lambda: stopped.append(True)  # type: ignore[method-assign]
    guard = ScoreGuard(InFlightNote.open(tmp_path / "note", "T1"), watchdog)
    assert not stopped
    del guard
    assert stopped == [True]


def test_only_one_pipeline_of_a_process_scores_at_a_time(tmp_path: Path) -> None:
    """A crash takes the whole process: a neighbour that was scoring too would be blamed for it."""
    mine, other = Guarded(tmp_path / "mine"), Guarded(tmp_path / "other")
    entered = threading.Event()

    def score() -> None:
        with other.guard(FLIGHT, other.scorer, 250):
            entered.set()

    thread = threading.Thread(target=score)
    with mine.guard(FLIGHT, mine.scorer, 250):
        thread.start()
        thread.join(0.2)
        assert not entered.is_set()
        assert (len(mine.left()), len(other.left())) == (1, 0)
    thread.join(30)
    assert entered.is_set()
