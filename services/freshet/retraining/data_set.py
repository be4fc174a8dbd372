"""The labelled log → the rows that a model learns from, and those that it is tried on. Pure: the same log, the same."""

import hashlib
from dataclasses import dataclass

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.contracts.errors import ContractError
from freshet.outcomes.log_rows import Stretch
from freshet.outcomes.outcome_rows import FIRST, KNOWN_BEFORE, NO_VALUES, REVISED, OutcomeRows
from freshet.training.data import TrainingData
from freshet.training.trainer import TrainingError


class WatermarkError(ContractError):
    """Somebody asked for rows of the log that were not there yet at the time that is meant: a bug, never data."""


class Labelled:
    """The labelled log as it was when it had `watermark` rows. Nothing behind that can be had of it.

    It is the only way from the log to a data set, so that no model learns from what came later: not from later
    predictions, and not from later revisions of labels.
    """

    def __init__(self, stretch: Stretch, watermark: int) -> None:
        self._stretch, self._watermark = stretch, watermark

    def newest(self, from_row: int, end_row: int, through_ms: int | None = None) -> Ints:
        """Places in the stretch: the last label of each prediction that has one in [from_row, end_row), in log order.

        With `through_ms`, of the labels that were appended by then. A prediction whose features have expired is left
        out. Raises WatermarkError past the watermark.
        """
        if end_row > self._watermark:
            raise WatermarkError(f"row {end_row} lies behind the watermark {self._watermark}.")
        rows, first = self._stretch.rows, self._stretch.first_row
        at = np.arange(max(from_row - first, 0), max(end_row - first, 0))
        at = at[(rows.weight[at] > 0) & (rows.flags[at] & (FIRST | REVISED) != 0)]
        if through_ms is not None:
            at = at[rows.labelled_ms[at] <= through_ms]
        if (rows.flags[at] & REVISED).any():  # else each prediction has one first label
            at = self._last_of_each(at)
        usable: Ints = at[rows.flags[at] & NO_VALUES == 0]
        return usable

    def _last_of_each(self, at: Ints) -> Ints:
        """Of the rows of each prediction the last one, in log order."""
        partition, offset = self._stretch.partition[at], self._stretch.rows.prediction_offset[at]
        order = np.lexsort((offset, partition))  # stable: rows of one prediction stay in log order
        other = (np.diff(partition[order]) != 0) | (np.diff(offset[order]) != 0)
        last: Ints = np.sort(at[order[np.append(other, True)]])
        return last

    def rows(self, at: Ints) -> OutcomeRows:
        """These rows. Raises WatermarkError if one lies past the watermark."""
        if at.size and int(at.max()) + self._stretch.first_row >= self._watermark:
            raise WatermarkError(f"row {int(at.max()) + self._stretch.first_row} lies behind {self._watermark}.")
        return self._stretch.rows.take(at)


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """What a training is given, and what its model is tried on, which no trainer sees."""

    training: TrainingData
    holdout: OutcomeRows
    from_row: int
    """The first row that the log still had, if that is later than was asked for."""
    trained_through_ms: int
    """Append time of the newest label in the training part."""
    training_digest: str
    digest: str
    """Of training part and holdout."""


def data_set(
    stretch: Stretch, from_row: int, cut_row: int, end_row: int, *, names: tuple[str, ...], classes: tuple[str, ...]
) -> DataSet:
    """Learn from labels of [from_row, cut_row), try on predictions of [cut_row, end_row) that were made later.

    No prediction of the holdout was made before all was known that the model has learned from: as it will be when the
    model serves. Where labels are so late that this would leave less than half of the holdout, the newest labels are
    not learned from. Labels that were there before their prediction are learned from, but nothing is tried on them.
    Raises ContractError if a row has a class that the pipeline does not have.
    """
    before, after = Labelled(stretch, cut_row), Labelled(stretch, end_row)
    taught = before.newest(from_row, cut_row)
    tried = after.newest(cut_row, end_row)
    known, candidates = before.rows(taught), after.rows(tried)
    asked_first = candidates.flags & KNOWN_BEFORE == 0
    boundary_ms = _boundary_ms(known.labelled_ms, candidates.predicted_ms[asked_first])
    taught = before.newest(from_row, cut_row, boundary_ms)
    known = before.rows(taught)
    fair = (candidates.predicted_ms > boundary_ms) & asked_first
    tried = tried[fair]
    for rows in (known, candidates):
        if classes and len(rows) and not 0 <= int(rows.label.min()) <= int(rows.label.max()) < len(classes):
            raise ContractError("an outcomes record has a class that the pipeline does not have.")
    training = TrainingData(names, classes, known.values, known.label, known.truth)
    digests = stretch.digest(taught), stretch.digest(tried)
    return DataSet(
        training,
        candidates.take(fair),
        max(from_row, stretch.first_row),
        int(known.labelled_ms.max(initial=0)),
        digests[0],
        hashlib.sha256("".join(digests).encode()).hexdigest(),
    )


def _boundary_ms(labelled_ms: Ints, predicted_ms: Ints) -> int:
    """Until when labels are learned from: to the last, but not beyond the middle one of the predictions to try on."""
    newest_ms = int(labelled_ms.max(initial=0))
    if not predicted_ms.size:
        return newest_ms
    return min(newest_ms, int(np.sort(predicted_ms)[(predicted_ms.size - 1) // 2]))


def check_enough(data: TrainingData, min_rows: int) -> None:
    """Raise TrainingError where there is nothing to learn: too few rows, or one answer only."""
    if len(data) < max(min_rows, 2):
        raise TrainingError(
            f"there are {len(data):,} labelled rows to learn from, fewer than the {max(min_rows, 2):,} that are asked "
            "for: wait for more labels, or lower retraining.min_rows."
        )
    if data.classes and np.count_nonzero(data.counts) < 2:
        name = data.classes[int(data.counts.argmax())]
        raise TrainingError(
            f"all {len(data):,} rows are of the class {name!r}, which teaches nothing: it takes rows of at least two "
            "classes. Take more rows with retraining.max_rows, or look at the labels."
        )
    if not data.classes and np.ptp(data.truth) == 0:
        raise TrainingError(
            f"all {len(data):,} rows have the same value, {data.truth[0]:g}, which teaches nothing: look at the labels."
        )
