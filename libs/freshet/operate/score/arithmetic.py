"""Predictions against labels, as columns: pure arithmetic, fed batch by batch in any split.

A class is the number of its place in the pipeline's list, so that classes and values are both float64; NaN is none of
them. An error is 0 or 1 for classes, else prediction minus truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from freshet.contracts.arrays import Bools, Floats, Ints


@dataclass(slots=True)
class Errors:
    """What some answers were worth: sums over the rows that have both an answer and a label."""

    rows: int = 0
    absolute: float = 0.0
    squared: float = 0.0

    def add(self, errors: Floats) -> None:
        """The errors of more rows."""
        self.rows += len(errors)
        self.absolute += float(np.abs(errors).sum())
        self.squared += float(np.square(errors).sum())

    @property
    def mean_absolute(self) -> float | None:
        """Of values the mean absolute error, of classes the share that is wrong; None without rows."""
        return self.absolute / self.rows if self.rows else None

    @property
    def root_mean_square(self) -> float | None:
        """None without rows."""
        return float(np.sqrt(self.squared / self.rows)) if self.rows else None


@dataclass(slots=True)
class VersionScore:
    """One model version: its answers, and two baselines on the same rows."""

    answered: int = 0
    """Predictions, with and without a label."""
    refused: int = 0
    """Inputs that it had no answer to: dead letters."""
    own: Errors = field(default_factory=Errors)
    constant: Errors = field(default_factory=Errors)
    """Had every answer been the commonest class, or the mean of all labels."""
    newest: Errors = field(default_factory=Errors)
    """Had every answer been the newest label that was there when the prediction was written; rows before the first
    label are left out."""


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """The newest revision of each event's label."""

    events: Ints
    """Hashes of event ids, ascending, each once."""
    values: Floats
    arrived_ms: Ints
    """When each label record came, ascending; every revision counts."""
    arrived: Floats
    """What it said."""


class LabelTable:
    """Takes in label records; holds 32 bytes of each, and four times as much while they are put in order."""

    def __init__(self) -> None:
        nothing = np.empty(0, np.int64)
        self._parts: list[tuple[Ints, Ints, Floats, Ints]] = [(nothing, nothing, np.empty(0), nothing)]

    def add(self, events: Ints, revisions: Ints, values: Floats, times_ms: Ints) -> None:
        """More label records: hashes of event ids, revisions, values, and the broker's times; all (n,)."""
        self._parts.append((events, revisions, values, times_ms))

    def labels(self) -> Labels:
        """All of them; of equal revisions of one event the one that came last counts."""
        events, revisions, values, times_ms = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        by_event = np.lexsort((times_ms, revisions, events))
        last = np.ones(len(events), dtype=bool)
        last[:-1] = np.diff(events[by_event]) != 0
        chosen = by_event[last]
        by_time = np.argsort(times_ms, kind="stable")
        return Labels(events[chosen], values[chosen], times_ms[by_time], values[by_time])


class Scoring:
    """Compares predictions, batch by batch, with labels that are all there. Keeps one bit for each label."""

    def __init__(self, labels: Labels, *, classes: bool) -> None:
        """`classes`: whether an answer is right or wrong, or more or less so."""
        self._labels, self._classes = labels, classes
        self._met = np.zeros(len(labels.events), dtype=bool)
        self.versions: dict[str, VersionScore] = {}
        self.constant = _constant(labels.values, classes=classes)
        """The commonest class, or the mean; NaN without labels."""

    def add(self, names: Sequence[str], versions: Ints, events: Ints, values: Floats, times_ms: Ints) -> None:
        """More predictions: `versions` are indexes in `names`; event ids as hashes, answers, the broker's times."""
        at, labelled = self._found(events)
        self._met[at[labelled]] = True
        for code in np.unique(versions).tolist():
            own = versions == code
            self._score(
                self.versions.setdefault(names[code], VersionScore()),
                own,
                labelled,
                at,
                values=values,
                times_ms=times_ms,
            )

    def refuse(self, version: str) -> None:
        """One more input that this version had no answer to."""
        self.versions.setdefault(version, VersionScore()).refused += 1

    @property
    def labels(self) -> int:
        """Events that have a label."""
        return len(self._met)

    @property
    def unanswered(self) -> int:
        """Labels of events that no prediction is about."""
        return len(self._met) - int(self._met.sum())

    @property
    def compared(self) -> int:
        """Predictions that were compared with a label."""
        return sum(score.own.rows for score in self.versions.values())

    def _found(self, events: Ints) -> tuple[Ints, Bools]:
        """For each event the row of its label, and whether it has one."""
        known = self._labels.events
        if not known.size:
            return np.zeros(len(events), np.int64), np.zeros(len(events), dtype=bool)
        at = np.minimum(np.searchsorted(known, events), known.size - 1)
        return at, known[at] == events

    def _score(
        self, score: VersionScore, own: Bools, labelled: Bools, at: Ints, *, values: Floats, times_ms: Ints
    ) -> None:
        score.answered += int(own.sum())
        rows = np.flatnonzero(own & labelled)
        truths = self._labels.values[at[rows]]
        score.own.add(self._errors(values[rows], truths))
        score.constant.add(self._errors(np.full(len(rows), self.constant), truths))
        newest = np.searchsorted(self._labels.arrived_ms, times_ms[rows], side="left") - 1
        there = newest >= 0
        score.newest.add(self._errors(self._labels.arrived[newest[there]], truths[there]))

    def _errors(self, answers: Floats, truths: Floats) -> Floats:
        return (answers != truths).astype(np.float64) if self._classes else answers - truths


def _constant(values: Floats, *, classes: bool) -> float:
    if not values.size:
        return float("nan")
    if not classes:
        return float(values.mean())
    found, counts = np.unique(values, return_counts=True)
    return float(found[counts.argmax()])
