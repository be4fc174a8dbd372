"""Two baselines without a model: answer the last known label, or the commonest one so far.

To answer a prediction they may use the longest beginning of the log in which every label was appended before that
prediction. So a label that came late, by the broker's clock, also hides the rows after it in the log. They never use a
label that was not known yet.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from freshet.contracts.arrays import Bools, Floats, Ints
from freshet.outcomes.outcome_rows import OutcomeRows

REACH_ROWS: Final = 1 << 15
"""Where the last known label lies further back in the log than this, there is no answer: the state must stay small."""

NO_CHANGE: Final = "baseline:no_change"
MAJORITY: Final = "baseline:majority"


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """The labels of the last rows, and totals of all.

    A class is an index into the pipeline's classes. The truth of a regression is a value; there the mean of the values
    takes the role of the commonest class.
    """

    counts: Floats
    """How many rows each class has had (k,); for a regression the number of rows and their sum (2,). Empty at first.
    """
    known_ms: Ints
    """The time from which this row's label and all before it were known; ascending."""
    labels: Floats
    """The label of each row: a class, or a value."""
    commonest: Floats
    """The commonest class up to and with each row, or the mean; NaN if there is none."""

    @classmethod
    def nothing(cls) -> "Known":
        """Before the first row."""
        return cls(np.empty(0), np.empty(0, np.int64), np.empty(0), np.empty(0))


def guesses(known: Known, rows: OutcomeRows, classes: int) -> tuple[Known, dict[str, Floats]]:
    """What is known after these further rows, and each baseline's answers to them; NaN where it had none.

    `classes` is 0 for a regression.
    """
    before, count = len(known.labels), len(rows)
    if not count:
        return known, {NO_CHANGE: np.empty(0), MAJORITY: np.empty(0)}
    labels = rows.label.astype(np.float64) if classes else rows.truth
    latest = known.known_ms[-1] if before else np.iinfo(np.int64).min
    known_ms = np.concatenate((known.known_ms, np.maximum(np.maximum.accumulate(rows.labelled_ms), latest)))
    counts, commonest = _commonest(known.counts, labels, rows.weight, classes)
    all_labels, all_commonest = np.concatenate((known.labels, labels)), np.concatenate((known.commonest, commonest))
    own = before + np.arange(count)
    last = np.minimum(np.searchsorted(known_ms, rows.predicted_ms), own) - 1
    there: Bools = (last >= 0) & (own - last <= REACH_ROWS)
    answers = {
        name: np.where(there, column[np.maximum(last, 0)], np.nan)
        for name, column in ((NO_CHANGE, all_labels), (MAJORITY, all_commonest))
    }
    kept = slice(max(0, before + count - REACH_ROWS), None)
    return Known(counts, known_ms[kept], all_labels[kept], all_commonest[kept]), answers


def _commonest(counts: Floats, labels: Floats, weight: Ints, classes: int) -> tuple[Floats, Floats]:
    """The totals after these rows, and the commonest class (or the mean) after each of them."""
    if classes:
        terms = np.zeros((len(labels) + 1, classes))
        terms[np.arange(1, len(terms)), labels.astype(np.int64)] = weight
    else:
        good = np.isfinite(labels)
        terms = np.stack([np.append(0, weight * good), np.append(0, np.where(good, labels, 0.0) * weight)], axis=1)
    if counts.size:
        terms[0] = counts
    running = np.cumsum(terms, axis=0)
    behind = running[1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = behind.argmax(axis=1).astype(np.float64) if classes else behind[:, 1] / behind[:, 0]
    empty = behind.sum(axis=1) <= 0 if classes else behind[:, 0] <= 0
    return running[-1], np.where(empty, np.nan, found)
