"""Counts of one series of answers over some rows: counts can be added, and all metrics are computed from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from freshet.contracts.arrays import Floats, Ints
from freshet.contracts.errors import ContractError
from freshet.contracts.evaluation_message import Evaluation

SCORE_BINS: Final = 64
"""How many bins of equal width the scores from 0 to 1 are counted in."""

_FAR: Final = 1 << 62
SUMS: Final = ("log_loss_sum", "absolute_sum", "squared_sum", "truth_sum", "truth_squared_sum")
"""What each place of `Counts.sums` holds; see `Evaluation`."""


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Counts of some rows; see `Evaluation` for each field. A correction subtracts the old label and adds the new."""

    rows: int
    confusion: Ints
    """(k, k); (0, 0) for a regression."""
    score_bins: Ints
    """(2, 64)."""
    sums: Floats
    """(5,), as `SUMS` says."""
    versions: Mapping[str, int]
    epochs: tuple[int, ...]
    first_row: int = _FAR
    end_row: int = 0
    start_ms: int = _FAR
    end_ms: int = 0
    predictions: int = 0

    @classmethod
    def none(cls, classes: int) -> Self:
        """Counts of no rows; `classes` is 0 for a regression."""
        zeros = np.zeros((classes, classes), np.int64), np.zeros((2, SCORE_BINS), np.int64), np.zeros(len(SUMS))
        return cls(0, *zeros, {}, ())

    @classmethod
    def of(cls, record: Evaluation) -> Self:
        """The counts in a record. Raises ContractError if the length of its bytes is not what the record says."""
        k = len(record.classes)
        if len(record.confusion) != 8 * k * k or len(record.score_bins) != 16 * SCORE_BINS:
            raise ContractError(
                f"an evaluation of {record.series} of pipeline {record.pipeline!r} does not hold the counts of {k} "
                "classes: a stranger wrote it, or it was damaged."
            )
        return cls(
            record.rows,
            np.frombuffer(record.confusion, "<i8").astype(np.int64).reshape(k, k),
            np.frombuffer(record.score_bins, "<i8").astype(np.int64).reshape(2, SCORE_BINS),
            np.array([getattr(record, name) for name in SUMS]),
            record.versions,
            record.epochs,
            record.first_row,
            record.end_row,
            record.start_ms,
            record.end_ms,
            record.predictions,
        )

    def __add__(self, other: "Counts") -> "Counts":
        """The counts of both together."""
        names = {**self.versions, **other.versions}
        return Counts(
            self.rows + other.rows,
            self.confusion + other.confusion,
            self.score_bins + other.score_bins,
            self.sums + other.sums,
            {name: self.versions.get(name, 0) + other.versions.get(name, 0) for name in names},
            tuple(sorted({*self.epochs, *other.epochs})),
            min(self.first_row, other.first_row),
            max(self.end_row, other.end_row),
            min(self.start_ms, other.start_ms),
            max(self.end_ms, other.end_ms),
            self.predictions + other.predictions,
        )

    def evaluation(
        self, pipeline: str, series: str, view: str, *, through: int, classes: tuple[str, ...]
    ) -> Evaluation:
        """The record of these counts, which must be of at least one row."""
        return Evaluation.model_validate(
            {
                "pipeline": pipeline,
                "series": series,
                "view": view,
                "first_row": self.first_row,
                "end_row": self.end_row,
                "through": through,
                "start_ms": self.start_ms,
                "end_ms": self.end_ms,
                "predictions": self.predictions,
                "rows": self.rows,
                "classes": classes,
                "confusion": self.confusion.astype("<i8").tobytes(),
                "score_bins": self.score_bins.astype("<i8").tobytes(),
                **dict(zip(SUMS, self.sums.tolist(), strict=True)),
                "versions": dict(sorted(self.versions.items())),
                "epochs": self.epochs,
            }
        )
