"""What `freshet stream` does with its rows, without any broker."""

import threading

import numpy as np
import pytest

from freshet.lab.demo.streaming import held, row_before
from freshet.operate.tables.events import Events


def rows(*labels: str) -> Events:
    """Events with these labels."""
    return Events({"x": np.arange(len(labels))}, list(labels))


def test_the_stream_is_held_half_way_until_the_second_model_is_live() -> None:
    """So the second half is the second model's, however short the table is."""
    arrived: list[str] = []
    at_the_gate: list[str] = []

    class Gate(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            at_the_gate.extend(arrived)
            return True

    for events in held([rows("a", "b", "c"), rows("d", "e")], 2, Gate()):
        arrived += events.labels or []
    assert at_the_gate == ["a", "b"]
    assert arrived == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("labels", "classes", "worth"),
    [
        (("no", "no", "", "yes", "yes"), True, "66.7% right"),
        (("1", "3", "", "3.5"), False, "MAE / RMSE 1.25 / 1.458"),
        (("no", ""), True, "gives –"),
        ((), False, "gives –"),
    ],
)
def test_repeating_the_row_before_is_a_baseline(labels: tuple[str, ...], classes: bool, worth: str) -> None:
    """Rows without a label are passed over."""
    assert worth in row_before(rows(*labels), classes=classes)
