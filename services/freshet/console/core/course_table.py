"""The main figure's values as a table: for readers of screens, and for the cross-hair, which shows a row of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from freshet.console.core.number_words import figure_words, lag_words
from freshet.console.core.quality_course import CoursePoint
from freshet.console.core.rightness import Rightness

_MINUTE_MS: Final = 60_000
_MOST_SERIES: Final = 10
_NOTHING: Final = "–"


@dataclass(frozen=True, slots=True)
class CourseRow:
    """A stretch of time, and what was measured in it."""

    start_ms: int
    end_ms: int
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CourseTable:
    """The newest stretch comes first."""

    names: tuple[str, ...]
    rows: tuple[CourseRow, ...]


def course_table(right: Rightness, lag: Mapping[int, float], since_ms: int) -> CourseTable:
    """The same points that the figure draws; `lag` has the longest wait of each minute, in seconds.

    Before any label has come there is a row for each minute of the lag.
    """
    lines = [one for one in right.lines if one.points][:_MOST_SERIES]
    stretches = {point.start_ms: point.end_ms for one in lines for point in one.points} or {
        minute * _MINUTE_MS: (minute + 1) * _MINUTE_MS for minute in lag if minute * _MINUTE_MS >= since_ms
    }
    by_start = [{point.start_ms: point for point in one.points} for one in lines]

    def row(start_ms: int, end_ms: int) -> CourseRow:
        told = (_value(points.get(start_ms), classes=right.classes) for points in by_start)
        return CourseRow(start_ms, end_ms, (_lag(lag, start_ms, end_ms), *told))

    rows = tuple(row(*stretch) for stretch in sorted(stretches.items(), reverse=True))
    return CourseTable(("lag", *(one.name for one in lines)), rows)


def _value(point: CoursePoint | None, *, classes: bool) -> str:
    return _NOTHING if point is None else figure_words(point.value, classes=classes)


def _lag(lag: Mapping[int, float], start_ms: int, end_ms: int) -> str:
    minutes = range(start_ms // _MINUTE_MS, (end_ms - 1) // _MINUTE_MS + 1)
    waits = [lag[minute] for minute in minutes if minute in lag]
    return lag_words(max(waits)) if waits else _NOTHING
