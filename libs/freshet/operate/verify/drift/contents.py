"""What rows of the labelled log repeat of their prediction, label and features: a sample is held against these."""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from freshet.contracts.messages import Outcomes
from freshet.contracts.topic_id import UNKNOWN_BYTES, to_text
from freshet.operate.verify.drift.log_counts import PROMISE
from freshet.operate.verify.findings import Finding, Unjudged, listed
from freshet.operate.verify.places import identity, spread
from freshet.outcomes.outcome_rows import ABSENT, NO_VALUES, OutcomeRows

At = tuple[int, int]
"""Partition and offset."""


class Asked(NamedTuple):
    """What a prediction says."""

    version: str
    epoch: int
    fallback: int
    answer: int
    """The class by its place; -1 for a regression."""
    event_time_ms: int
    features_offset: int
    scores: bytes


class Told(NamedTuple):
    """What a label says; one that is taken back says no more than when."""

    claimed_ms: int
    revision: int
    value: float


class Vector(NamedTuple):
    """What a feature vector says."""

    spec_version: int
    values: bytes


class SampledRow(NamedTuple):
    """One row of the log."""

    prediction: At
    label: At
    features: At
    topic: str
    weight: int
    flags: int
    asked: Asked
    told: Told
    vector: Vector


@dataclass(slots=True, eq=False)
class Sample:
    """So many rows, the same ones each time, of a log that is read only once."""

    size: int
    _heap: list[tuple[int, int, SampledRow]] = field(default_factory=list)
    _count: int = 0

    @property
    def rows(self) -> list[SampledRow]:
        """Those that were taken."""
        return sorted(row for _, _, row in self._heap)

    def add(self, record: Outcomes, rows: OutcomeRows) -> None:
        """The rows of the next record; those with the smallest of well-mixed numbers are taken."""
        ids = identity(np.full(len(rows), record.partition), rows.prediction_offset)
        keys = -spread(ids, seed=1)
        least = self._heap[0][0] if len(self._heap) >= self.size else -(2**63)
        for at in np.flatnonzero(keys > least).tolist() if self.size else ():
            self._count += 1
            entry = (int(keys[at]), self._count, _row(record, rows, at))
            if len(self._heap) < self.size:
                heapq.heappush(self._heap, entry)
            else:
                heapq.heappushpop(self._heap, entry)


def _row(record: Outcomes, rows: OutcomeRows, at: int) -> SampledRow:
    features = int(rows.features_offset[at])
    truth = rows.truth if record.classes == 1 else rows.label
    return SampledRow(
        prediction=(record.partition, int(rows.prediction_offset[at])),
        label=(record.partition, int(rows.label_offset[at])),
        features=(record.partition, features),
        topic=record.features_topic,
        weight=int(rows.weight[at]),
        flags=int(rows.flags[at]),
        asked=Asked(
            rows.versions[int(rows.version[at])],
            int(rows.epoch[at]),
            int(rows.fallback[at]),
            int(rows.answer[at]),
            int(rows.event_time_ms[at]),
            features,
            rows.scores[at].astype("<f4").tobytes(),
        ),
        told=Told(int(rows.claimed_ms[at]), int(rows.revision[at]), float(truth[at])),
        vector=Vector(record.spec_version, rows.values[at].astype("<f4").tobytes()),
    )


_NO_LONGER: Final = "of rows of the labelled log are not there any more"


@dataclass(slots=True, eq=False)
class Contents:
    """The records that sampled rows are about, by place, as far as they are still there."""

    rows: list[SampledRow]
    asked: Mapping[At, Asked]
    told: Mapping[At, Told]
    vectors: Mapping[At, Vector] | None
    """None where features were not read."""
    features_topic: str
    """The one that there is now."""
    gone: dict[str, int] = field(default_factory=dict)

    def findings(self) -> Iterator[Finding]:
        """Rows against predictions, labels and vectors."""
        yield self._compared("rows say what their predictions say", "predictions", self._predictions())
        yield self._compared("rows say what their labels say", "labels", self._labels())
        if self.vectors is not None:
            yield self._compared("rows hold the values of their features", "features", self._vectors(self.vectors))

    def unjudged(self) -> Iterator[Unjudged]:
        """What a sampled row names and is gone; known after `findings`."""
        for role, count in self.gone.items():
            yield Unjudged(role, count, _NO_LONGER)

    def _compared(self, check: str, role: str, found: Iterator[tuple[SampledRow, bool | None]]) -> Finding:
        """Of each row whether it is right; None where that cannot be told."""
        told = list(found)
        self.gone[role] = sum(right is None for _, right in told)
        wrong = [f"prediction {row.prediction[0]}/{row.prediction[1]}" for row, right in told if right is False]
        return listed(PROMISE, check, len(told) - self.gone[role], wrong)

    def _predictions(self) -> Iterator[tuple[SampledRow, bool | None]]:
        for row in self.rows:
            found = self.asked.get(row.prediction)
            yield row, None if found is None else found == row.asked

    def _labels(self) -> Iterator[tuple[SampledRow, bool | None]]:
        for row in self.rows:
            if not row.flags & ABSENT:
                found = self.told.get(row.label)
                same = found is not None and (found == row.told if row.weight > 0 else found[0] == row.told[0])
                yield row, None if found is None else same

    def _vectors(self, vectors: Mapping[At, Vector]) -> Iterator[tuple[SampledRow, bool | None]]:
        """A vector that is there now was there when the row was written."""
        for row in self.rows:
            here = row.topic in {self.features_topic, to_text(UNKNOWN_BYTES)}
            found = vectors.get(row.features) if here else None
            same = not row.flags & NO_VALUES and found == row.vector
            yield row, None if found is None else same
