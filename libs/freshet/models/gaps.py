"""How far scores lie apart."""

import numpy as np

from freshet.contracts.arrays import Floats, Floats32


def row_gaps(expected: Floats32, answered: Floats32) -> Floats:
    """The largest gap of each row, float64 (n,): absolute up to 1, relative above, infinite if only one is finite."""
    want, have = expected.astype(np.float64), answered.astype(np.float64)
    with np.errstate(invalid="ignore"):
        gaps = np.abs(want - have) / np.maximum(1, np.abs(want))
    gaps[~np.isfinite(want) & ~np.isfinite(have)] = 0
    gaps[np.isfinite(want) != np.isfinite(have)] = np.inf
    largest: Floats = gaps.max(axis=1, initial=0)
    return largest
