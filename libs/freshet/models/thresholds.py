"""Float32 thresholds that split float32 rows exactly as float64 ones do."""

import numpy as np

from freshet.contracts.arrays import Floats32


def floor_float32(values: object) -> Floats32:
    """The largest float32 that is not above each float64 value: `x <= t` stays the same for every float32 x."""
    exact = np.asarray(values, np.float64)
    with np.errstate(over="ignore"):
        near = exact.astype(np.float32)
    floors: Floats32 = np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near)
    return floors
