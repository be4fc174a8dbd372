"""How good answers were over the last day: the figures of evaluations, in steps of ten seconds.

At thousands of predictions a second many evaluations come each second. Counts add up, so the console keeps sums of each
step, and of all else only the newest record of a series.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from freshet.contracts.errors import ContractError
from freshet.contracts.evaluation_message import Evaluation
from freshet.quality.counts import Counts
from freshet.quality.metrics import Interval, metrics, wilson

STEP_MS: Final = 10_000
KEPT_MS: Final = 24 * 60 * 60_000
MOST_SERIES: Final = 24
"""Versions come and go; those that had no evaluation for longest are forgotten."""
SERVED: Final = "served"
VERSION: Final = "version:"
BASELINE: Final = "baseline:"

View = Literal["arrival", "closed"]


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over some rows."""

    rows: int
    right: int
    absolute: float
    predictions: int

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.rows + other.rows,
            self.right + other.right,
            self.absolute + other.absolute,
            self.predictions + other.predictions,
        )


@dataclass(frozen=True, slots=True)
class CoursePoint:
    """The rows of some steps: how good answers were, and how sure that is."""

    start_ms: int
    end_ms: int
    value: float
    interval: Interval
    labelled: float
    """Share of the predictions that had a label; NaN where that is not told."""
    rows: int


@dataclass(frozen=True, slots=True)
class Figure:
    """The newest evaluation of a series."""

    value: float
    interval: Interval
    rows: int
    start_ms: int
    end_ms: int
    labelled: float


class QualityCourse:
    """The evaluations of one pipeline."""

    def __init__(self) -> None:
        self.classes: tuple[str, ...] | None = None
        """None before the first evaluation; empty for a regression."""
        self._steps: dict[tuple[str, View], dict[int, Tally]] = {}
        self._newest: dict[tuple[str, View], Evaluation] = {}

    def fold(self, record: Evaluation) -> None:
        """Take in an evaluation. One that does not hold the counts that it says is left out."""
        try:
            counts = Counts.of(record)
        except ContractError:
            return
        key = (record.series, record.view)
        before = self._newest.pop(key, None)
        if before is not None and record.view == "arrival" and record.first_row < before.first_row:
            self._steps.clear()  # its rows begin anew: the pipeline was deleted and came again
            self._newest.clear()
        self._newest[key] = record  # the last one in the order of the dict is the newest
        self.classes = record.classes
        steps = self._steps.setdefault(key, {})
        step = record.end_ms // STEP_MS
        right = int(np.trace(counts.confusion)) if record.classes else 0
        tally = Tally(record.rows, right, record.absolute_sum, record.predictions)
        if step in steps:
            steps[step] += tally
            return
        steps[step] = tally
        self._forget(steps, step)

    def _forget(self, steps: dict[int, Tally], newest: int) -> None:
        """A new step, and perhaps a new series: what is too old, or too much, goes."""
        for step in [one for one in steps if one < newest - KEPT_MS // STEP_MS]:
            del steps[step]
        while len(self._newest) > MOST_SERIES:
            oldest = next(iter(self._newest))
            del self._newest[oldest], self._steps[oldest]

    def series(self, view: View) -> Sequence[str]:
        """Names of the series that have a record of this view, the one whose last record is newest last."""
        return [name for name, of in self._newest if of == view]

    def has(self, series: str, view: View) -> bool:
        """Whether there is any evaluation of it."""
        return (series, view) in self._newest

    def first_ms(self) -> int:
        """Where the first step that is kept begins; 0 if there is none."""
        return min((step for steps in self._steps.values() for step in steps), default=0) * STEP_MS

    def newest(self, series: str, view: View) -> Figure | None:
        """The newest evaluation of a series; None if there is none."""
        record = self._newest.get((series, view))
        if record is None:
            return None
        found = metrics(Counts.of(record))
        value, interval = (
            (found.accuracy, found.accuracy_interval) if record.classes else (found.mae, found.mae_interval)
        )
        labelled = record.rows / record.predictions if view == "closed" and record.predictions else math.nan
        return Figure(value, interval, record.rows, record.start_ms, record.end_ms, labelled)

    def course(self, series: str, view: View, since_ms: int, until_ms: int, most: int) -> list[CoursePoint]:
        """At most so many points of a series, in order; a step without rows is in none."""
        found = sorted(
            (step, tally)
            for step, tally in self._steps.get((series, view), {}).items()
            if since_ms <= step * STEP_MS <= until_ms
        )
        width = max(1, math.ceil((until_ms - since_ms) / STEP_MS / most))
        return list(self._points(found, width))

    def _points(self, found: Sequence[tuple[int, Tally]], width: int) -> Iterator[CoursePoint]:
        joined: dict[int, Tally] = {}
        for step, tally in found:
            at = step // width
            joined[at] = joined[at] + tally if at in joined else tally
        for at, tally in joined.items():
            if tally.rows <= 0:  # corrections took back more than came
                continue
            start_ms = at * width * STEP_MS
            if self.classes:
                value = tally.right / tally.rows
                interval = wilson(value, tally.rows)
            else:
                value, interval = tally.absolute / tally.rows, (math.nan, math.nan)
            labelled = tally.rows / tally.predictions if tally.predictions else math.nan
            yield CoursePoint(start_ms, start_ms + width * STEP_MS, value, interval, labelled, tally.rows)
