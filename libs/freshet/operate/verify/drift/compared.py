"""Predictions, labels and rows of the labelled log, as the judge compares them. One structured row each."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Table = NDArray[Any]
"""Rows of one of the types below."""

ASKED: Final = np.dtype([("id", "<i8"), ("offset", "<i8"), ("time_ms", "<i8"), ("plan", "<i4")])
"""A prediction: `id` is a hash of the event's id (see `hashes`), `plan` the specification that it was joined under."""

TOLD: Final = np.dtype([*ASKED.descr, ("claimed_ms", "<i8"), ("revision", "<i4"), ("value", "<f8")])
"""A label; `value` is the class by its place, or the true value of a regression."""

ROW: Final = np.dtype(
    [
        ("prediction", "<i8"),
        ("label", "<i8"),
        ("predicted_ms", "<i8"),
        ("labelled_ms", "<i8"),
        ("claimed_ms", "<i8"),
        ("value", "<f8"),
        ("revision", "<i4"),
        ("weight", "i1"),
        ("flags", "u1"),
    ]
)
"""A row of the labelled log: `prediction` and `label` are offsets."""


def none(kind: "np.dtype[Any]") -> Table:
    """No rows."""
    return np.zeros(0, kind)


def never_back(times_ms: Table, after_ms: int = 0) -> Table:
    """The times of one partition as the join counts them: the broker's clock may go back, they do not."""
    found: Table = np.maximum(np.maximum.accumulate(times_ms), after_ms) if times_ms.size else times_ms
    return found


def differing(expected: Table, found: Table) -> tuple[Table, Table]:
    """What of the expected rows is missing, and what was found beyond them; a row that is there twice is beyond."""
    if not expected.size and not found.size:
        return expected, found
    both = np.concatenate([expected, found])
    _, firsts, kinds = np.unique(both.view(f"V{ROW.itemsize}"), return_index=True, return_inverse=True)
    kinds = kinds.ravel()
    balance = np.bincount(kinds[: expected.size], minlength=firsts.size)
    balance -= np.bincount(kinds[expected.size :], minlength=firsts.size)
    missing, beyond = both[firsts[balance > 0]], both[firsts[balance < 0]]
    return np.sort(missing, order=("prediction", "label")), np.sort(beyond, order=("prediction", "label"))
