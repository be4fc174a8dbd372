"""What every detector of features and answers promises. A kind joins with a log in which it finds something."""

from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np
import pytest

from freshet.contracts.arrays import Floats
from freshet.contracts.messages import Alarm
from freshet.detectors.input_detector import InputDetector
from freshet.detectors.input_watch import InputWatchState
from freshet.detectors.parts.answers import AnswersDetector
from freshet.detectors.parts.missing import MissingDetector
from freshet.detectors.parts.psi import PsiDetector
from freshet.detectors.parts.stale import StaleDetector
from freshet.detectors.parts.unusual import UnusualDetector
from freshet.detectors.parts.value_range import RangeDetector
from freshet.detectors.parts.wasserstein import WassersteinDetector
from freshet.pipeline.catalogue import input_detectors
from support.frames import ProfileLog

_N: Final = 20_000
_CHANGE: Final = 15_000


def _moved() -> ProfileLog:
    rows = np.random.default_rng(1).normal(size=(_N, 3))
    rows[_CHANGE:, 1] += 1.0
    return _log(rows)


def _holed() -> ProfileLog:
    rows = np.random.default_rng(2).normal(size=(_N, 3))
    rows[_CHANGE::5, 2] = np.nan
    return _log(rows)


def _wider() -> ProfileLog:
    rows = np.random.default_rng(3).normal(size=(_N, 3))
    rows[_CHANGE::10, 0] = 50.0
    return _log(rows)


def _sure() -> ProfileLog:
    scores = np.random.default_rng(4).beta(2, 2, size=_N)
    scores[_CHANGE:] **= 0.3
    log = ProfileLog()
    log.answers(scores)
    return log


def _silent() -> ProfileLog:
    """The second partition ends early."""
    log, chance = ProfileLog(rate=1.0), np.random.default_rng(5)
    for block in range(2 * _N // 1000):
        log.features(chance.normal(size=(1000, 2)))
        if block < 5:
            log.features(chance.normal(size=(1000, 2)), partition=1)
    return log


def _log(rows: Floats) -> ProfileLog:
    log = ProfileLog()
    log.features(rows)
    return log


EXAMPLES: Final[list[tuple[InputDetector, Callable[[], ProfileLog]]]] = [
    (PsiDetector(), cache(_moved)),
    (PsiDetector(effect=0.2, cool_down=0), cache(_moved)),
    (WassersteinDetector(), cache(_moved)),
    (MissingDetector(), cache(_holed)),
    (RangeDetector(), cache(_wider)),
    (UnusualDetector(), cache(_wider)),
    (AnswersDetector(), cache(_sure)),
    (StaleDetector(), cache(_silent)),
]
each = pytest.mark.parametrize(("detector", "log"), EXAMPLES, ids=lambda one: getattr(one, "kind", ""))


def test_every_kind_is_tried() -> None:
    """A detector without an example could be anything."""
    assert {detector.kind for detector, _ in EXAMPLES} == set(input_detectors().kinds())


@each
def test_it_finds_what_changes_and_nothing_before(detector: InputDetector, log: Callable[[], ProfileLog]) -> None:
    """Suspected first, then detected; never of rows before the change."""
    alarms = log().alarms(detector)
    assert [alarm.level for alarm in alarms][:2] == ["suspected", "detected"]
    earliest = 5000 if detector.kind == "stale" else _CHANGE - 1024
    assert all(alarm.test_from >= earliest for alarm in alarms)
    assert all(alarm.text and alarm.subject and alarm.attribution for alarm in alarms)


@each
def test_how_the_log_is_cut_and_what_is_restored_make_no_difference(
    detector: InputDetector, log: Callable[[], ProfileLog]
) -> None:
    """A frame at a time, with a checkpoint after each: the same alarms, and the same bytes."""
    made = log()
    watch = made.watch(detector)
    whole, expected = watch.fold(InputWatchState(), made.frames)
    state, alarms = InputWatchState(), list[Alarm]()
    for frame in made.frames:
        state, more = watch.fold(watch.load(watch.dump(state)), [frame])
        alarms += more
    assert alarms == expected
    assert watch.dump(state) == watch.dump(whole)


@each
def test_a_state_is_a_value(detector: InputDetector, log: Callable[[], ProfileLog]) -> None:
    """What was staged and never committed leaves no trace."""
    made = log()
    watch, half = made.watch(detector), len(made.frames) // 2
    state, _ = watch.fold(InputWatchState(), made.frames[:half])
    before = watch.dump(state)
    first = watch.fold(state, made.frames[half:])
    assert watch.dump(state) == before
    assert watch.fold(state, made.frames[half:])[1] == first[1]


@each
def test_no_number_and_no_value_at_all_stop_nobody(detector: InputDetector, log: Callable[[], ProfileLog]) -> None:
    """A column without any number, one of a single value, and infinity are counted and compared like others."""
    strange = ProfileLog()
    rows = np.random.default_rng(6).normal(size=(_N, 4))
    rows[:, 0], rows[:, 1], rows[::3, 2], rows[::7, 2] = np.nan, 7.0, np.inf, -np.inf
    strange.features(rows)
    strange.answers(np.full(_N, 0.5))
    assert strange.alarms(detector) == []


@each
def test_an_alarm_says_with_which_parameters_it_can_be_had_again(
    detector: InputDetector, log: Callable[[], ProfileLog]
) -> None:
    """Their text gives the same detector."""
    for alarm in log().alarms(detector):
        assert type(detector).model_validate_strings(alarm.params) == detector
