"""A stop of everything is told as soon as rows come again, and no slow partition is taken for one."""

from typing import Final

import numpy as np
import pytest

from freshet.contracts.messages import Alarm
from freshet.detectors.input_detector import InputFinding
from freshet.detectors.parts.stale import EVERYTHING, StaleDetector
from freshet.profiles.frame_records import PlacedFrame
from support.frames import ProfileLog

HOUR_MS: Final = 3_600_000


def stopping(*stops: tuple[int, float]) -> ProfileLog:
    """Frames of a quarter of an hour, of features and answers; before the frame of each place so many hours pass."""
    log, chance = ProfileLog(rate=100 / 900, rows=100), np.random.default_rng(1)
    for _ in range(120):
        log.features(chance.normal(size=(100, 2)))
        log.answers(chance.random(100))
    for place, hours in stops:
        late = [moved(one, hours) for one in log.frames[2 * place :]]
        log.frames = [*log.frames[: 2 * place], *late]
    return log


def moved(placed: PlacedFrame, hours: float) -> PlacedFrame:
    """The same frame so many hours later."""
    times = {name: getattr(placed.frame, name) + int(hours * HOUR_MS) for name in ("first_ms", "last_ms")}
    return PlacedFrame(placed.offset, times["last_ms"], placed.frame.model_copy(update=times))


def told(log: ProfileLog) -> list[Alarm]:
    """What the detector says."""
    return log.alarms(StaleDetector())


def test_a_stop_of_everything_is_told_when_rows_come_again() -> None:
    """Suspected with the first frame behind it, detected after an hour of rows; once."""
    alarms = told(stopping((40, 5)))
    assert [(one.level, one.subject, one.cause) for one in alarms] == [
        ("suspected", EVERYTHING, "data_quality"),
        ("detected", EVERYTHING, "data_quality"),
    ]
    assert "came for 300 minutes" in alarms[1].text
    assert told(stopping((40, 2.5))) == []


def test_stops_as_long_as_the_one_before_are_usual() -> None:
    """Every night is the same; a weekend is longer."""
    alarms = told(stopping((20, 8), (40, 8), (60, 9), (80, 40)))
    assert [one.level for one in alarms] == ["suspected", "detected"] * 2
    assert "480 minutes" in alarms[1].text
    assert "2,400 minutes" in alarms[3].text


def test_rows_of_a_slow_partition_take_it_back() -> None:
    """Its frame is over only with its next row, behind the first frames of the others."""
    log = stopping((40, 5))
    middle, behind = log.frames[79].frame.last_ms + 150 * 60_000, 84
    slow = log.frames[0].frame.model_copy(update={"partition": 1, "first_ms": middle, "last_ms": middle + 60_000})
    log.frames.insert(behind, PlacedFrame(0, log.frames[behind].at_ms, slow))

    def levels() -> list[str]:
        return [one.level for one in told(log) if one.subject == EVERYTHING]

    assert levels() == ["suspected"]
    early = slow.model_copy(update={"first_ms": middle - 140 * 60_000, "last_ms": middle - 139 * 60_000})
    log.frames[behind] = PlacedFrame(0, log.frames[behind].at_ms, early)
    assert levels() == ["suspected", "detected"], "the rest of the stop is long enough"


def ahead(log: ProfileLog, place: int, hours: float) -> None:
    """The frame at this place holds times of a clock that is so many hours ahead."""
    log.frames[place] = moved(log.frames[place], hours)


@pytest.mark.parametrize("place", [0, 1, 50, 120])
def test_a_clock_that_is_ahead_raises_no_alarm_and_blinds_nobody(place: int) -> None:
    """One frame is stamped 30 days ahead: that is no stop of everything, and real ones are told all the same."""
    log = stopping()
    ahead(log, place, 720)
    assert told(log) == []
    log = stopping((80, 5))
    ahead(log, place, 720)
    assert [(one.level, one.subject) for one in told(log)] == [("suspected", EVERYTHING), ("detected", EVERYTHING)]
    silent = stopping()
    ahead(silent, place, 720)
    silent.frames = [one for at, one in enumerate(silent.frames) if at < 140 or one.frame.kind == "features"]
    assert [(one.level, one.subject) for one in told(silent)][:2] == [
        ("suspected", "answers"),
        ("suspected", "answers of partition 0"),
    ]


def test_a_clock_that_is_wrong_again_and_again_is_no_stop() -> None:
    """One producer of several, in every tenth frame."""
    log = stopping()
    for place in range(5, 240, 10):
        ahead(log, place, 720)
    assert told(log) == []


def test_a_state_of_an_older_release_goes_on() -> None:
    """It knows of no stops yet."""
    log, detector = stopping((40, 5)), StaleDetector()
    state = {name: value for name, value in detector.begin().items() if name in {"newest_ms", "clock_ms", "seen"}}
    found = list[InputFinding]()
    for row, placed in enumerate(log.frames):
        state, more = detector.frame(state, placed, row)
        found += more
    assert [one.finding.level for one in found] == ["suspected", "detected"]
