"""Long logs of predictions and labels as the join takes them in: columns of rows, made where they are needed."""

import numpy as np

from freshet.drift.core.join.hashing import Hashes
from freshet.drift.core.join.join_rows import LABEL, Table, prediction_type

SCORES = 2


def predictions_at(first: int, end: int, *, start_ms: int, events_per_s: float) -> Table:
    """Predictions first ≤ offset < end, evenly spread over time; their ids are their offsets."""
    at = np.arange(first, end)
    rows = np.zeros(at.size, prediction_type(SCORES))
    rows["hash"], rows["check"] = hashes_of(at), at & 0xFFFFFFFF
    rows["offset"] = rows["features_offset"] = at
    rows["time_ms"] = start_ms + (at * (1000 / events_per_s)).astype(np.int64)
    rows["event_time_ms"] = rows["time_ms"] - 40
    rows["scores"][:, 1] = (at % 1000) / 1000
    rows["scores"][:, 0] = 1 - rows["scores"][:, 1]
    rows["answer"], rows["epoch"], rows["plan"] = at % 1000 >= 500, 3, 1
    return rows


def labels_of(predictions: Table, offsets: tuple[int, int], *, delay_ms: int) -> Table:
    """One label for each, appended so much later, at first ≤ offset < end."""
    rows = np.zeros(predictions.size, LABEL)
    for column in ("hash", "check"):
        rows[column] = predictions[column]
    rows["offset"], rows["time_ms"] = np.arange(*offsets), predictions["time_ms"] + delay_ms
    rows["claimed_ms"], rows["value"], rows["plan"] = rows["time_ms"] - 1000, predictions["answer"], 1
    return rows


def hashes_of(numbers: np.ndarray) -> Hashes:
    """The finalizer of MurmurHash3: distinct numbers give distinct bits, spread like those of ids."""
    mixed = numbers.astype(np.uint64)
    with np.errstate(over="ignore"):
        for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
            mixed ^= mixed >> np.uint64(33)
            mixed *= np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(33))
