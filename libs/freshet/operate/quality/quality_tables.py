"""The tables of `freshet quality` as text, for a terminal and for a page."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from freshet.operate.quality.series_quality import SERVED, Quality, SeriesQuality
from freshet.quality.metrics import Interval

_CLASSES = ("accuracy", "95 %", "balanced", "precision", "recall", "F1", "kappa", "log loss", "calibration", "AUC")
_CANDIDATE: Final = "candidate."
_VALUES = ("MAE", "95 %", "RMSE", "R²")


def titles(found: Quality) -> tuple[str, ...]:
    """Of `rows`."""
    return ("series", "labels", "labelled", *(_CLASSES if found.classes else _VALUES), "promised")


def rows(found: Quality) -> list[tuple[str, ...]]:
    """A row for each series; a dash for what is not defined, or not known."""
    return [
        (
            one.name,
            f"{one.counts.rows:,}",
            share(one.labelled),
            *(_of_classes(one) if found.classes else _of_values(one)),
            ", ".join(f"{name} {value:.4g}" for name, value in sorted(_promised(one.promised).items())),
        )
        for one in found.series
    ]


def _promised(metrics: Mapping[str, float]) -> dict[str, float]:
    """Of a version that retraining made only its own figures on all rows: not its rival's, nor those of slices."""
    ours = {name.removeprefix(_CANDIDATE): value for name, value in metrics.items() if name.startswith(_CANDIDATE)}
    return {name: value for name, value in (ours or metrics).items() if "." not in name}


def class_titles() -> tuple[str, ...]:
    """Of `class_rows`."""
    return "class", "labels", "precision", "recall", "F1"


def class_rows(found: Quality) -> list[tuple[str, ...]]:
    """A row for each class, of what was served; none if that is not among the series."""
    return [
        (name, f"{int(one.counts.confusion[at].sum()):,}", *map(share, _of_class(one, at)))
        for one in found.series
        if one.name == SERVED
        for at, name in enumerate(found.classes)
    ]


def _of_class(one: SeriesQuality, at: int) -> tuple[float, float, float]:
    return one.metrics.precision[at], one.metrics.recall[at], one.metrics.f1[at]


def share(value: float) -> str:
    """In percent."""
    return "–" if math.isnan(value) else f"{value:.1%}"


def _of_classes(one: SeriesQuality) -> Sequence[str]:
    it = one.metrics
    return (
        share(it.accuracy),
        _interval(it.accuracy_interval, share),
        share(it.balanced_accuracy),
        share(it.macro_precision),
        share(it.macro_recall),
        share(it.macro_f1),
        _plain(it.kappa),
        _plain(it.log_loss),
        _plain(it.calibration_error),
        _plain(it.auc),
    )


def _of_values(one: SeriesQuality) -> Sequence[str]:
    it = one.metrics
    return _short(it.mae), _interval(it.mae_interval, _short), _short(it.rmse), _plain(it.r2)


def _interval(interval: Interval, text: Callable[[float], str]) -> str:
    low, high = interval
    return "–" if math.isnan(low) else f"{text(low)} to {text(high)}"


def _plain(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _short(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4g}"
