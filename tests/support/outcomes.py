"""Records of the labelled log, made by hand."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.contracts.messages import Minute, Outcomes
from freshet.outcomes.outcome_rows import FIRST, OutcomeRows
from freshet.quality.setting import Setting, SliceRange

CLASSES = ("no", "yes")
MINUTE_MS = 60_000
HORIZON_MS = 60 * MINUTE_MS


def setting(*, classes: tuple[str, ...] = CLASSES, slices: Sequence[SliceRange] = ()) -> Setting:
    """What a pipeline with two features says."""
    return Setting(classes, tuple(slices), HORIZON_MS)


def rows_of(count: int, **columns: Any) -> OutcomeRows:
    """So many rows: what is not given is alike in all, and right. Two classes, two features."""
    at = np.arange(count)
    given: dict[str, Any] = {
        "versions": ("1.0.0",),
        "prediction_offset": at,
        "label_offset": at,
        "features_offset": at,
        "event_time_ms": at,
        "predicted_ms": 1000 * at,
        "labelled_ms": 1000 * at + 500,
        "claimed_ms": at,
        "version": np.zeros(count, np.int64),
        "epoch": np.ones(count, np.int64),
        "fallback": np.zeros(count, np.int64),
        "answer": np.ones(count, np.int64),
        "label": np.ones(count, np.int64),
        "truth": np.full(count, np.nan),
        "scores": np.tile(np.array([0.25, 0.75], np.float32), (count, 1)),
        "weight": np.ones(count, np.int64),
        "revision": np.zeros(count, np.int64),
        "flags": np.full(count, FIRST),
        "values": np.zeros((count, 2), np.float32),
    } | columns
    return OutcomeRows(**{name: _column(column, count) for name, column in given.items()})


def _column(column: Any, count: int) -> Any:
    if isinstance(column, tuple):
        return column
    found = np.asarray(column)
    found = found if found.ndim else np.full(count, found)
    return found.astype(np.int64) if found.dtype.kind in "iub" else found


def record_of(
    rows: OutcomeRows, *, first_row: int = 0, partition: int = 0, number: int = 1, minutes: Sequence[Minute] = ()
) -> Outcomes:
    """The record that holds these rows."""
    return Outcomes(
        pipeline="p",
        partition=partition,
        first_row=first_row,
        number=number,
        features_topic="",
        inputs={},
        counts={},
        minutes=tuple(minutes),
        rows=len(rows),
        spec_version=1,
        width=rows.values.shape[1],
        classes=rows.scores.shape[1],
        versions=rows.versions,
        input_topics={},
        number_from={},
        state_from={},
        **rows.columns(),
    )


def minutes_of(rows: OutcomeRows) -> tuple[Minute, ...]:
    """What a record says of minutes in which only these rows were predicted, and all of them labelled."""
    first: Ints = rows.predicted_ms[rows.flags & FIRST != 0] // MINUTE_MS * MINUTE_MS
    starts, counts = np.unique(first, return_counts=True)
    pairs = zip(starts.tolist(), counts.tolist(), strict=True)
    return tuple(Minute(start_ms=start, predictions=count, labelled=count) for start, count in pairs)


def cut(rows: OutcomeRows, *ends: int) -> list[Outcomes]:
    """The rows in records that end there; the first one speaks of all minutes."""
    bounds = [0, *ends, len(rows)]
    return [
        record_of(rows.take(np.arange(begin, end)), first_row=begin, minutes=() if begin else minutes_of(rows))
        for begin, end in pairwise(bounds)
        if end > begin or not begin
    ]
