"""The labelled log made by hand: records with the rows that a test cares for, and streams of errors."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from freshet.contracts.arrays import Floats, Ints
from freshet.contracts.messages import Minute, Outcomes
from freshet.detectors.observing import LogRecord
from freshet.outcomes.outcome_rows import FIRST, OutcomeRows

PIPELINE: Final = "fraud"
START_MS: Final = 1_790_000_000_000


def rows(wrong: Sequence[float] | Floats, *, first: int = 0, version: str = "v1", **columns: Any) -> OutcomeRows:
    """A row for each number: 1 for a wrong class, 0 for a right one. Offsets ascend from `first`."""
    count = len(wrong)
    numbers = np.arange(first, first + count)
    given: dict[str, Any] = {
        "prediction_offset": numbers,
        "label_offset": numbers,
        "features_offset": numbers,
        "event_time_ms": START_MS + numbers,
        "predicted_ms": START_MS + numbers,
        "labelled_ms": START_MS + numbers,
        "claimed_ms": START_MS + numbers,
        "version": np.zeros(count, np.int64),
        "epoch": np.ones(count, np.int64),
        "fallback": np.zeros(count, np.int64),
        "answer": np.asarray(wrong).astype(np.int64),
        "label": np.zeros(count, np.int64),
        "truth": np.full(count, np.nan),
        "scores": np.full((count, 2), 0.5, np.float32),
        "weight": np.ones(count, np.int64),
        "revision": np.zeros(count, np.int64),
        "flags": np.full(count, FIRST),
        "values": np.zeros((count, 1), np.float32),
    }
    return OutcomeRows((version,), **given | {name: np.asarray(column) for name, column in columns.items()})


def value_rows(sizes: Floats, **columns: Any) -> OutcomeRows:
    """Rows of a regression that was wrong by these."""
    nothing = np.full(len(sizes), -1)
    scores = np.zeros((len(sizes), 1), np.float32)
    return rows(np.zeros(len(sizes)), answer=nothing, label=nothing, truth=sizes, scores=scores, **columns)


@dataclass
class Log:
    """Appends records, in turn to each partition."""

    partitions: int = 1
    records: list[LogRecord] = field(default_factory=list)
    _counts: dict[int, int] = field(default_factory=dict)

    def append(
        self,
        some: OutcomeRows,
        *,
        number: int = 1,
        at_ms: int | None = None,
        minutes: Sequence[Minute] = (),
    ) -> LogRecord:
        """One record with these rows."""
        offset = len(self.records)
        partition = offset % self.partitions
        first = self._counts.get(partition, 0)
        self._counts[partition] = first + len(some)
        message = Outcomes(
            pipeline=PIPELINE,
            partition=partition,
            first_row=first,
            number=number,
            features_topic="t",
            inputs={},
            counts={},
            minutes=tuple(minutes),
            rows=len(some),
            spec_version=1,
            width=some.values.shape[1],
            classes=some.scores.shape[1],
            versions=some.versions,
            input_topics={},
            number_from={},
            state_from={},
            **some.columns(),
        )
        self.records.append(LogRecord(offset, START_MS + offset if at_ms is None else at_ms, message))
        return self.records[-1]

    def errors(self, wrong: Floats, *, size: int = 50, **columns: Any) -> None:
        """Records of so many rows each."""
        done = sum(self._counts.values())
        for at in range(0, len(wrong), size):
            self.append(rows(wrong[at : at + size], first=done + at, **columns))


def bernoulli(seed: int, count: int, share: float) -> Floats:
    """Errors that come independently."""
    return (np.random.default_rng(seed).random(count) < share).astype(np.float64)


def persistent(seed: int, count: int, share: float, rho: float) -> Floats:
    """Errors that come in runs: with probability `rho` a row does as the row before."""
    draw = np.random.default_rng(seed)
    fresh, goes_on = draw.random(count) < share, draw.random(count) < rho
    goes_on[0] = False
    at: Ints = np.maximum.accumulate(np.where(goes_on, 0, np.arange(count)))
    return fresh[at].astype(np.float64)


def seasonal(seed: int, count: int, share: float, swing: float, period: int) -> Floats:
    """Errors whose share goes up and down."""
    shares = share + swing * np.sin(2 * np.pi * np.arange(count) / period)
    return (np.random.default_rng(seed).random(count) < shares).astype(np.float64)
