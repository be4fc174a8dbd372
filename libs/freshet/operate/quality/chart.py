"""The course of some series over time, as columns of equal numbers of rows: for a terminal and for a page."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Final

from freshet.operate.quality.series_quality import Cut, Quality, SeriesQuality
from freshet.quality.counts import Counts
from freshet.quality.metrics import metrics

_BARS: Final = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Point:
    """Some rows of a series one after the other: accuracy, or the mean absolute error of a regression."""

    end_ms: int
    value: float
    """NaN where there are no rows."""


def _is_usual(series: SeriesQuality) -> bool:
    """What a chart shows, unless only others were asked for: what was served, and what no model would have said."""
    return series.name == "served" or series.name.startswith("baseline:")


def courses(found: Quality, width: int) -> dict[str, list[Point]]:
    """Of each series that is drawn at most so many points, in columns that end with the same rows of the log.

    Neighbours are added up, since counts add up.
    """
    drawn = [one for one in found.series if _is_usual(one)] or found.series
    ends = sorted(point.end_row for point in max((one.points for one in drawn), key=len, default=()))
    step = max(1, math.ceil(len(ends) / width))
    edges = [ends[min(at + step, len(ends)) - 1] for at in range(0, len(ends), step)]
    return {one.name: _course(one.points, edges) for one in drawn}


def _course(points: Sequence[Counts], edges: Sequence[int]) -> list[Point]:
    columns: list[list[Counts]] = [[] for _ in edges]
    for point in points:
        columns[min(bisect_left(edges, point.end_row), len(edges) - 1)].append(point)
    sums = [reduce(add, column) if column else None for column in columns]
    return [Point(0, math.nan) if one is None else Point(one.end_ms, _value(one)) for one in sums]


def place(points: Sequence[Point], at_ms: int) -> int:
    """Index of the first point that has predictions of then or later."""
    return next((index for index, point in enumerate(points) if point.end_ms > at_ms), len(points))


def bars(points: Sequence[Point], low: float, high: float) -> str:
    """A character for each point, from low to high; a gap where there is none."""
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(" " if math.isnan(one.value) else _BARS[round((one.value - low) * scale)] for one in points)


def bounds(courses: Sequence[Sequence[Point]]) -> tuple[float, float]:
    """The smallest and the largest value; NaN without any."""
    values = [point.value for points in courses for point in points if not math.isnan(point.value)]
    return (min(values), max(values)) if values else (math.nan, math.nan)


def lines(found: Quality, width: int) -> list[str]:
    """The chart for a terminal: a line for each series, then the cut-overs, which the last lines name."""
    drawn = courses(found, width)
    low, high = bounds(list(drawn.values()))
    if math.isnan(low):
        return []
    title = "accuracy" if found.classes else "mean absolute error"
    told = [f"{title} over time, from {number(low, found)} (▁) to {number(high, found)} (█)"]
    indent = max(map(len, drawn)) + 2
    told += [f"{name:<{indent}}{bars(points, low, high)}" for name, points in drawn.items()]
    return told + _marks(next(iter(drawn.values())), found.cuts, indent)


def _marks(points: Sequence[Point], cuts: Sequence[Cut], indent: int) -> list[str]:
    row = [" "] * (len(points) + 1)
    for cut in cuts:
        row[place(points, cut.at_ms)] = "^"
    if not cuts:
        return []
    named = ", ".join(f"epoch {cut.epoch} ({', '.join(cut.versions) or 'nobody'})" for cut in cuts)
    return [f"{'cut-overs':<{indent}}{''.join(row)}".rstrip(), f"^ from left to right: {named}"]


def number(value: float, found: Quality) -> str:
    """Accuracy in percent, an error with four digits; a dash where it is not defined."""
    if math.isnan(value):
        return "–"
    return f"{value:.1%}" if found.classes else f"{value:.4g}"


def _value(counts: Counts) -> float:
    found = metrics(counts)
    return found.accuracy if counts.confusion.size else found.mae
