"""Float32 thresholds that split float32 rows exactly as float64 ones do."""

import numpy as np

from freshet.contracts.arrays import Floats32


def floor_float32(values: object) -> Floats32:
    """The largest float32 that is not above each float64 value: `x <= t` stays the same for every float32 x."""
    exact = np.asarray(values, np.float64)
    with np.errstate(over="ignore"):
        near = exact.astype(np.float32)
    floors: Floats32 = np.where(near > exact, neighbours(near)[0], near)
    return floors


def neighbours(values: Floats32) -> tuple[Floats32, Floats32]:
    """The float32 right below each of these, and the one right above; those of the largest ones are infinite."""
    with np.errstate(over="ignore", under="ignore"):
        return np.nextafter(values, np.float32(-np.inf)), np.nextafter(values, np.float32(np.inf))
