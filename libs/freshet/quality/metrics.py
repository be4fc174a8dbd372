"""Metrics from counts. A metric that is not defined, as without rows, is NaN."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from freshet.contracts.arrays import Floats, Ints
from freshet.quality.counts import SCORE_BINS, Counts

_Z: Final = 1.959963984540054
"""95 % of a normal distribution lie within this many standard deviations of its mean."""

NAN: Final = float("nan")
Interval = tuple[float, float]
_CENTRES: Final = (np.arange(SCORE_BINS) + 0.5) / SCORE_BINS


@dataclass(frozen=True, slots=True)
class Metrics:
    """All metrics of some counts. Those of classes are NaN for a regression, and the other way round.

    Of each score only its bin is known, so calibration and AUC are off by less than a bin's width, 1/64.
    """

    rows: int
    accuracy: float = NAN
    accuracy_interval: Interval = (NAN, NAN)
    """95 %, by Wilson."""
    balanced_accuracy: float = NAN
    """Mean of the recalls of the classes that occurred."""
    precision: tuple[float, ...] = ()
    """By class; NaN for one that was never answered."""
    recall: tuple[float, ...] = ()
    """By class; NaN for one that never was true."""
    f1: tuple[float, ...] = ()
    """By class; NaN for one that was neither."""
    macro_f1: float = NAN
    """Mean over the classes where it is defined; likewise the next two."""
    macro_precision: float = NAN
    macro_recall: float = NAN
    kappa: float = NAN
    """Cohen's kappa: 0 is the agreement that chance would give, 1 is always right."""
    log_loss: float = NAN
    calibration_error: float = NAN
    """Expected calibration error: how far scores lie from the shares that came true, on average over the rows."""
    auc: float = NAN
    """Of two classes: how often a row of the second one has the higher score."""
    mae: float = NAN
    mae_interval: Interval = (NAN, NAN)
    """95 %, by a normal distribution."""
    rmse: float = NAN
    r2: float = NAN
    """Share of the truths' variance that is explained; below 0 the mean would have been better."""


def metrics(counts: Counts) -> Metrics:
    """All metrics of these counts."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return _of_classes(counts) if counts.confusion.size else _of_values(counts)


def _of_classes(counts: Counts) -> Metrics:
    confusion = counts.confusion.astype(np.float64)
    rows, right = float(confusion.sum()), np.diagonal(confusion)
    true, answered = confusion.sum(axis=1), confusion.sum(axis=0)
    accuracy = _ratio(float(right.sum()), rows)
    chance = _ratio(float(true @ answered), rows * rows)
    precision, recall, f1 = right / answered, right / true, 2 * right / (true + answered)
    scored = int(counts.score_bins.sum())
    return Metrics(
        rows=counts.rows,
        accuracy=accuracy,
        accuracy_interval=wilson(accuracy, rows),
        balanced_accuracy=_mean(recall),
        precision=tuple(precision.tolist()),
        recall=tuple(recall.tolist()),
        f1=tuple(f1.tolist()),
        macro_f1=_mean(f1),
        macro_precision=_mean(precision),
        macro_recall=_mean(recall),
        kappa=_ratio(accuracy - chance, 1 - chance),
        log_loss=_ratio(float(counts.sums[0]), rows) if scored else NAN,
        calibration_error=_calibration_error(counts.score_bins),
        auc=_auc(counts.score_bins) if len(right) == 2 else NAN,
    )


def _of_values(counts: Counts) -> Metrics:
    rows = float(counts.rows)
    _, absolute, squared, truth, truth_squared = counts.sums.tolist()
    mae, mean_square = _ratio(absolute, rows), _ratio(squared, rows)
    spread = truth_squared - _ratio(truth * truth, rows)
    margin = _Z * math.sqrt(max(mean_square - mae * mae, 0.0) / rows) if rows > 0 else NAN
    return Metrics(
        rows=counts.rows,
        mae=mae,
        mae_interval=(mae - margin, mae + margin),
        rmse=math.sqrt(mean_square) if mean_square >= 0 else NAN,
        r2=1 - _ratio(squared, spread) if spread > 0 else NAN,
    )


def wilson(share: float, rows: float) -> Interval:
    """The 95 % interval of a share that was measured over this many rows; NaN where corrections leave no rows."""
    if rows <= 0 or not 0 <= share <= 1:
        return NAN, NAN
    scale = 1 + _Z * _Z / rows
    middle = (share + _Z * _Z / (2 * rows)) / scale
    margin = _Z / scale * math.sqrt(share * (1 - share) / rows + _Z * _Z / (4 * rows * rows))
    return max(0.0, middle - margin), min(1.0, middle + margin)


def _calibration_error(bins: Ints) -> float:
    there = bins.sum(axis=0)
    return _ratio(float(np.abs(bins[1] - _CENTRES * there).sum()), float(there.sum()))


def _auc(bins: Ints) -> float:
    """The area under the ROC curve; a pair in the same bin counts as half."""
    below = np.cumsum(bins[0]) - bins[0]
    return _ratio(float(bins[1] @ (below + bins[0] / 2)), float(bins[0].sum()) * float(bins[1].sum()))


def _mean(values: Floats) -> float:
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if defined.size else NAN


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else NAN
