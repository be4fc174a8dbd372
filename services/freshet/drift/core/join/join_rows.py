"""What the join remembers of a prediction and of a label, and what it says when they meet. One structured row each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from freshet.contracts.arrays import Ints

Table = NDArray[Any]
"""Rows of one of the types below."""

DUPLICATE: Final = 1
"""Flag of a prediction: an earlier one has its id, so that it never gets a label."""

NO_LABEL: Final = -(2**31) - 1
"""Revision of a prediction that has no label yet; below all that a label may have."""
ABSENT_REVISION: Final = -(2**31)
"""Revision of the label that no label stands for."""

LABEL: Final = np.dtype(
    [
        ("hash", "<u8"),
        ("check", "<u4"),
        ("offset", "<i8"),
        ("time_ms", "<i8"),
        ("claimed_ms", "<i8"),
        ("revision", "<i4"),
        ("value", "<f8"),
        ("plan", "<u4"),
    ]
)
"""`value` is the class by its place in the pipeline's list, or the true value of a regression."""

MARK: Final = np.dtype([("value", "<f8"), ("revision", "<i8"), ("known_before", "?")])
"""The label that counts for a prediction now."""

PAIR: Final = np.dtype(
    [
        ("row", "<i8"),
        ("weight", "i1"),
        ("value", "<f8"),
        ("revision", "<i8"),
        ("label_offset", "<i8"),
        ("labelled_ms", "<i8"),
        ("claimed_ms", "<i8"),
        ("flags", "u1"),
    ]
)
"""A row of the labelled log in the making: `row` is the prediction's number, `flags` as in `freshet.outcomes`."""

NO_PAIRS: Final[Table] = np.zeros(0, PAIR)


def prediction_type(scores: int) -> np.dtype[Any]:
    """The row of a prediction with so many scores; 72 bytes with two."""
    return np.dtype(
        [
            ("hash", "<u8"),
            ("check", "<u4"),
            ("offset", "<i8"),
            ("time_ms", "<i8"),
            ("features_offset", "<i8"),
            ("event_time_ms", "<i8"),
            ("epoch", "<u4"),
            ("scores", "<f4", (scores,)),
            ("plan", "<u4"),
            ("version", "<u2"),
            ("topic", "<u2"),
            ("answer", "<i2"),
            ("fallback", "u1"),
            ("flags", "u1"),
        ]
    )


@dataclass(frozen=True, slots=True)
class Windows:
    """How far label and prediction may lie apart, in ms between their appends; `means` is an absent label's value."""

    horizon: int
    grace: int
    wait: int
    absent_after: int | None = None
    means: float = 0.0

    @property
    def span(self) -> int:
        """How long a label can be told from one of no prediction."""
        return self.horizon + self.grace

    @property
    def reach(self) -> int:
        """Within it, a second prediction of an id is a duplicate: no label can then fit two of them."""
        return self.span + self.wait

    @property
    def close_after(self) -> int:
        """After it, no label at all says something by itself."""
        return self.horizon if self.absent_after is None else self.absent_after


_NEVER: Final = 2**62


class Plans:
    """The windows of each plan as columns. A label is judged by the plan that it was read under, and so is an id's
    second prediction: what a record leads to never changes afterwards.
    """

    def __init__(self, windows: Mapping[int, Windows]) -> None:
        """`windows` by plan, a small number above 0; at least one."""
        most = max(windows) + 1
        self.horizon, self.span, self.wait, self.reach, self.close_after, self.absent_after = (
            np.zeros(most, np.int64) for _ in range(6)
        )
        self.means = np.zeros(most, np.float64)
        self.absent_after[:] = _NEVER
        for plan, of in windows.items():
            self.horizon[plan], self.span[plan], self.wait[plan], self.reach[plan] = (
                of.horizon,
                of.span,
                of.wait,
                of.reach,
            )
            self.close_after[plan], self.means[plan] = of.close_after, of.means
            if of.absent_after is not None:
                self.absent_after[plan] = of.absent_after
        self.newest = windows[max(windows)]
        self.any_absent = any(of.absent_after is not None for of in windows.values())

    def fits(self, labels: Table, asked_ms: Ints) -> NDArray[np.bool_]:
        """Whether each label lies within the window of the prediction asked at that time."""
        delta = labels["time_ms"] - asked_ms
        fits: NDArray[np.bool_] = (delta >= -self.wait[labels["plan"]]) & (delta <= self.span[labels["plan"]])
        return fits

    def has_absent(self, plans: Ints) -> NDArray[np.bool_]:
        """Whether no label is a label under these plans."""
        has: NDArray[np.bool_] = self.absent_after[plans] < _NEVER
        return has


def copied(rows: Table) -> Table:
    """A copy of all rows: whole, for numpy copies them field by field, which takes ten times as long."""
    return whole(rows).copy().view(rows.dtype)


def joined(parts: Sequence[Table], kind: "np.dtype[Any]") -> Table:
    """The rows of all parts, which are of this kind."""
    return np.concatenate([whole(part) for part in parts] or [whole(np.zeros(0, kind))]).view(kind)


def distinct(numbers: Ints) -> Ints:
    """The different numbers, ascending."""
    in_order = np.sort(numbers)
    return in_order[np.append(True, in_order[1:] != in_order[:-1])] if in_order.size else in_order


def renumbered(codes: Ints) -> tuple[list[int], Ints]:
    """The different codes in order of first appearance, and for each row where its code stands among them."""
    if codes.size and (codes == codes[0]).all():
        return [int(codes[0])], np.zeros(codes.size, np.int64)
    used, firsts, places = np.unique(codes, return_index=True, return_inverse=True)
    order = np.argsort(firsts)
    return used[order].tolist(), np.argsort(order)[places]


def whole(rows: Table) -> Table:
    """The same rows, each as so many bytes without fields."""
    return rows.view(f"V{rows.dtype.itemsize}")
