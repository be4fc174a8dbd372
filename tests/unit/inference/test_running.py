"""Calls into models that run at the same time: each note says whether it is alone; after a death they take turns."""

import threading
from pathlib import Path

import pytest

from freshet.inference import running as module
from freshet.inference.core.crash_blame import Death, Flight
from freshet.inference.inflight import InFlightNote
from freshet.inference.running import Running

SCORE, LOAD = Flight("v1", (), "d1"), Flight("v2", (), "d2")


class Notes:
    """The notes of one process: of its score calls and of its loads."""

    def __init__(self, folder: Path) -> None:
        self.running = Running()
        self.score, self.load = (InFlightNote.open(folder / kind, "T1", self.running) for kind in ("score", "load"))

    @property
    def deaths(self) -> tuple[tuple[Death, ...], ...]:
        """What was found of scores and of loads."""
        return self.score.deaths, self.load.deaths


def test_two_calls_that_run_at_a_death_share_it(tmp_path: Path) -> None:
    """Also to the process after the next."""
    died = Notes(tmp_path)
    died.score.begin(SCORE)
    died.load.begin(LOAD)
    second = Notes(tmp_path)
    assert second.deaths == ((Death(SCORE, shared=True),), (Death(LOAD, shared=True),))
    assert second.running.careful
    second.load.begin(LOAD)
    third = Notes(tmp_path)
    assert third.deaths == ((), (Death(LOAD, shared=True), Death(LOAD)))
    assert third.running.careful
    assert not Notes(tmp_path).running.careful


def test_what_still_runs_after_the_other_has_returned_is_alone(tmp_path: Path) -> None:
    """However often the other one runs meanwhile."""
    died = Notes(tmp_path)
    died.load.begin(LOAD)
    for _ in range(3):
        died.score.begin(SCORE)
        died.score.end()
    assert Notes(tmp_path).deaths == ((), (Death(LOAD),))


def test_of_two_calls_the_one_that_hung_is_known(tmp_path: Path) -> None:
    """The process ended itself for it; whatever begins later takes that from it no more."""
    died = Notes(tmp_path)
    died.score.begin(SCORE)
    died.score.hung()
    died.load.begin(LOAD)
    assert Notes(tmp_path).deaths == ((Death(SCORE, hung=True),), (Death(LOAD, shared=True),))


@pytest.mark.parametrize("careful", [True, False])
def test_a_load_waits_for_a_score_call_only_after_a_shared_death(careful: bool) -> None:
    """At other times a load of seconds holds up no answer, and no answer a load."""
    calls, entered = Running(), threading.Event()
    calls.careful = careful

    def load() -> None:
        with calls.load_turn():
            entered.set()

    thread = threading.Thread(target=load)
    with calls.score_turn():
        thread.start()
        assert entered.wait(0.2) is not careful
    assert entered.wait(10)
    thread.join()


def test_a_load_that_does_not_end_holds_up_scoring_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop has to poll: after one wait nobody takes turns any more."""
    monkeypatch.setattr(module, "_PATIENCE_S", 0.01)
    calls = Running()
    calls.careful = True
    with calls.load_turn():
        with calls.score_turn():
            pass
        assert not calls.careful
        monkeypatch.setattr(module, "_PATIENCE_S", 1e6)
        with calls.score_turn():
            pass
