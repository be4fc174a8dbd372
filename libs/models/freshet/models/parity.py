"""How far an ONNX graph is from the estimator that it was made of: on the sample, and on rows at the edges."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from freshet.contracts.arrays import Bools, Floats, Floats32
from freshet.models.errors import ModelError

Score = Callable[[Floats32], Floats32]

_FAR: Final = 10  # extremes lie this many ranges of the sample outside of it
_MISSING_ROWS: Final = 256
_TIE: Final = 1e-6  # float32 cannot tell two classes apart that are nearer than this


@dataclass(frozen=True, slots=True)
class Parity:
    """What the comparison found. A gap is absolute for scores up to 1, relative above."""

    rows: int
    """Rows compared."""
    gaps: Mapping[str, float]
    """Largest gap on the `sample`, on `edges` (zeros, extremes) and, if the estimator takes it, on `missing` values."""
    agreement: float
    """Share of rows with the same label: the class of the highest score, ties aside. 1.0 for a regression."""

    @property
    def max_gap(self) -> float:
        """The largest gap of all; infinite if one side is finite and the other is not."""
        return max(self.gaps.values())


def compare(original: Score, packed: Score, rows: Floats32) -> Parity:
    """Score the sample and edge rows made from it both ways.

    `rows` is float32 (n, inputs), n ≥ 1. Missing values are left out if the original raises ValueError on them; on
    other rows that is a ModelError.
    """
    groups = {"sample": rows, "edges": edge_rows(rows), "missing": missing_rows(rows)}
    pairs = {}
    for name, group in groups.items():
        try:
            pairs[name] = original(group), packed(group)
        except ValueError as error:
            if name != "missing":
                raise ModelError("pack_input", f"the original refuses rows of the {name}: {error}") from error
    return _parity(pairs)


def compare_scores(expected: Floats32, answered: Floats32) -> Parity:
    """The same for scores of the sample alone, float32 (n, outputs): all there is if the original is not at hand."""
    return _parity({"sample": (expected, answered)})


def _parity(pairs: Mapping[str, tuple[Floats32, Floats32]]) -> Parity:
    total = sum(len(expected) for expected, _ in pairs.values())
    same = sum(int(_same_label(*pair).sum()) for pair in pairs.values())
    return Parity(total, {name: float(row_gaps(*pair).max()) for name, pair in pairs.items()}, same / total)


def edge_rows(rows: Floats32) -> Floats32:
    """Zeros, each column's smallest and largest value, and values far outside the sample; float32 (5, inputs)."""
    finite = np.where(np.isfinite(rows), rows, np.nan).astype(np.float64)
    some = np.isfinite(finite).any(axis=0)
    low, high = np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    low[some], high[some] = np.nanmin(finite[:, some], axis=0), np.nanmax(finite[:, some], axis=0)
    reach = _FAR * np.maximum(high - low, 1)
    limit = float(np.finfo(np.float32).max)
    edges: Floats = np.stack([np.zeros_like(low), low, high, low - reach, high + reach])
    return edges.clip(-limit, limit).astype(np.float32)


def missing_rows(rows: Floats32) -> Floats32:
    """Rows of the sample with one value missing, each column in turn, and one row with all missing; float32."""
    width = rows.shape[1]
    count = max(width, min(_MISSING_ROWS, len(rows)))
    holed = np.resize(rows, (count, width)).copy()
    holed[np.arange(count), np.arange(count) % width] = np.nan
    return np.concatenate([holed, np.full((1, width), np.nan, np.float32)])


def row_gaps(expected: Floats32, answered: Floats32) -> Floats:
    """The largest gap of each row, float64 (n,): absolute up to 1, relative above, infinite if only one is finite."""
    want, have = expected.astype(np.float64), answered.astype(np.float64)
    with np.errstate(invalid="ignore"):
        gaps = np.abs(want - have) / np.maximum(1, np.abs(want))
    gaps[~np.isfinite(want) & ~np.isfinite(have)] = 0
    gaps[np.isfinite(want) != np.isfinite(have)] = np.inf
    largest: Floats = gaps.max(axis=1, initial=0)
    return largest


def _same_label(expected: Floats32, answered: Floats32) -> Bools:
    chosen = answered.argmax(axis=1)
    at_choice = np.take_along_axis(expected, chosen[:, None], axis=1)[:, 0]
    same: Bools = (expected.argmax(axis=1) == chosen) | (expected.max(axis=1) - at_choice < _TIE)
    return same
