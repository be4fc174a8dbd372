"""What each row adds to the counts, and its sums by group: as columns, without an object for each row.

Floats are added row by row, starting from the sum so far. So a sum has the same bits however the rows are divided into
batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from freshet.contracts.arrays import Floats, Ints
from freshet.contracts.errors import ContractError
from freshet.outcomes.outcome_rows import OutcomeRows
from freshet.quality.counts import SCORE_BINS, Counts

_LEAST_SCORE: Final = 1e-15
_LARGEST: Final = 1e140
"""Larger values of a regression are left out, as NaN is: a sum of their squares would overflow."""


@dataclass(frozen=True, slots=True, eq=False)
class Measures:
    """Answers to n rows of the log, and how good they were."""

    row: Ints
    """The number of each row in the log."""
    weight: Ints
    predicted_ms: Ints
    version: Ints
    """Index into `versions`."""
    epoch: Ints
    cell: Ints
    """truth * k + answer; 0 for a regression."""
    score_bin: Ints
    """Index into `Counts.score_bins`, flattened; -1 without a score."""
    sums: Floats
    """What each row adds to `Counts.sums`: to the first sum (1, n), or for a regression to the other four (4, n)."""
    versions: tuple[str, ...]
    classes: int

    def __len__(self) -> int:
        return len(self.row)

    def then(self, *others: "Measures") -> "Measures":
        """These answers and others to rows of the same record."""
        columns = ("row", "weight", "predicted_ms", "version", "epoch", "cell", "score_bin", "sums")
        joined: dict[str, Any] = {
            name: np.concatenate([getattr(one, name) for one in (self, *others)], axis=-1) for name in columns
        }
        return replace(self, **joined)


def served(rows: OutcomeRows, at: Ints, first_row: int, classes: int) -> Measures:
    """What was answered to these rows. Raises ContractError if their number of classes differs; 0 for a regression."""
    scores = rows.scores[at].astype(np.float64)
    if scores.shape[1] != max(classes, 1):
        raise ContractError(f"an outcomes record has {scores.shape[1]} scores a row; the pipeline has {classes}.")
    if not classes:
        return _values(rows, at, first_row, scores[:, 0])
    label, answer = rows.label[at], rows.answer[at]
    for column in (label, answer):
        if column.size and (column.min() < 0 or column.max() >= classes):
            raise ContractError("an outcomes record has a class that the pipeline does not have.")
    each = np.arange(len(at))
    of_truth = np.minimum(np.fmax(scores[each, label], _LEAST_SCORE), 1.0)
    binned, side = (scores[:, 1], label) if classes == 2 else (scores.max(axis=1), (label == answer).astype(np.int64))
    sums = -np.log(of_truth)[None, :]
    return _measures(
        rows, at, first_row, classes, cell=label * classes + answer, score_bin=_bins(binned, side), sums=sums
    )


def guessed(rows: OutcomeRows, at: Ints, first_row: int, classes: int, guesses: Floats) -> Measures:
    """The measures if these had been the answers: indexes of classes, or values. There are no scores."""
    if not classes:
        return _values(rows, at, first_row, guesses)
    cell = rows.label[at] * classes + guesses.astype(np.int64)
    none = np.full(len(at), -1, np.int64)
    return _measures(rows, at, first_row, classes, cell=cell, score_bin=none, sums=np.zeros((1, len(at))))


def _values(rows: OutcomeRows, at: Ints, first_row: int, answers: Floats) -> Measures:
    good = (np.abs(answers) < _LARGEST) & (np.abs(rows.truth[at]) < _LARGEST)
    at, answers = at[good], answers[good]
    truth = rows.truth[at]
    error = answers - truth
    sums = np.stack([np.abs(error), error * error, truth, truth * truth])
    none = np.full(len(at), -1, np.int64)
    return _measures(rows, at, first_row, 0, cell=np.zeros(len(at), np.int64), score_bin=none, sums=sums)


def _bins(scores: Floats, side: Ints) -> Ints:
    with np.errstate(invalid="ignore"):
        place = np.minimum((scores * SCORE_BINS).astype(np.int64), SCORE_BINS - 1)
    return np.where((scores >= 0) & (scores <= 1), side * SCORE_BINS + place, -1)


def _measures(
    rows: OutcomeRows, at: Ints, first_row: int, classes: int, *, cell: Ints, score_bin: Ints, sums: Floats
) -> Measures:
    columns = (rows.weight[at], rows.predicted_ms[at], rows.version[at], rows.epoch[at])
    return Measures(first_row + at, *columns, cell, score_bin, sums, rows.versions, classes)


def added(bases: Sequence[Counts], measures: Measures, at: Ints, groups: Ints) -> list[Counts]:
    """Each base with its rows added: `at` are row indexes in the measures, `groups` is the base of each; both (m,).

    The rows of a group are in the order of the log, and every base gets at least one row.
    """
    count, cells = len(bases), measures.classes**2
    weight = measures.weight[at].astype(np.float64)

    def total(places: Ints, width: int, weights: Floats | None) -> Ints:
        flat = np.bincount(groups * width + places, weights, minlength=count * width)
        return flat.reshape(count, width).astype(np.int64)

    confusion = total(measures.cell[at], cells, weight) if cells else np.zeros((count, 0), np.int64)
    score_bins = _binned(measures.score_bin[at], weight, groups, count)
    versions = total(measures.version[at], len(measures.versions), weight)
    answered = total(measures.version[at], len(measures.versions), None)
    rows = np.bincount(groups, weight, minlength=count).astype(np.int64)
    sums = _sums(bases, measures, at, groups, weight)
    order = np.argsort(groups.astype(np.uint16), kind="stable")
    starts = np.searchsorted(groups[order], np.arange(count))
    predicted, row = measures.predicted_ms[at][order], measures.row[at][order]
    first_ms, last_ms = np.minimum.reduceat(predicted, starts), np.maximum.reduceat(predicted, starts)
    epochs = _epochs(measures.epoch[at], groups, count)
    found = []
    for group, base in enumerate(bases):
        end = starts[group + 1] if group + 1 < count else len(row)
        names = dict(base.versions)
        for code in np.flatnonzero(answered[group]).tolist():
            name = measures.versions[code]
            names[name] = names.get(name, 0) + int(versions[group, code])
        found.append(
            Counts(
                base.rows + int(rows[group]),
                base.confusion + confusion[group].reshape(base.confusion.shape),
                base.score_bins + score_bins[group],
                sums[group],
                names,
                tuple(sorted({*base.epochs, *epochs[group]})),
                min(base.first_row, int(row[starts[group]])),
                max(base.end_row, int(row[end - 1]) + 1),
                min(base.start_ms, int(first_ms[group])),
                max(base.end_ms, int(last_ms[group]) + 1),
                base.predictions,
            )
        )
    return found


def _binned(score_bins: Ints, weight: Floats, groups: Ints, count: int) -> Ints:
    there, width = np.flatnonzero(score_bins >= 0), 2 * SCORE_BINS
    flat = np.bincount(groups[there] * width + score_bins[there], weight[there], minlength=count * width)
    return flat.astype(np.int64).reshape(count, 2, SCORE_BINS)


def _sums(bases: Sequence[Counts], measures: Measures, at: Ints, groups: Ints, weight: Floats) -> Floats:
    """(groups, 5). The sums of the bases come first, as `bincount` adds in the order of its input."""
    carried = np.stack([base.sums for base in bases])
    owners = np.concatenate((np.arange(len(bases)), groups))
    sums = np.zeros_like(carried)
    for place, values in enumerate(measures.sums, 0 if measures.classes else 1):
        terms = np.concatenate((carried[:, place], values[at] * weight))
        sums[:, place] = np.bincount(owners, terms, minlength=len(bases))
    return sums


def _epochs(epochs: Ints, groups: Ints, count: int) -> list[list[int]]:
    """The epochs of each group."""
    if epochs.size and epochs.min() == epochs.max():
        return [[int(epochs[0])]] * count
    numbers, codes = np.unique(epochs, return_inverse=True)
    there = np.bincount(groups * len(numbers) + codes, minlength=count * len(numbers)).reshape(count, -1)
    return [numbers[np.flatnonzero(row)].tolist() for row in there]
