"""The plan behind `make intervals`: who answers which row, and what he may know."""

import numpy as np
import pytest

from bench.publish_intervals import Stream, baselines, takeovers

ROWS = 1_000


@pytest.mark.parametrize("every", [ROWS, 400, 100, 25])
@pytest.mark.parametrize("late", [0, 50])
def test_every_row_is_answered_once_by_a_model_that_cannot_know_its_label(every: int, late: int) -> None:
    """Behind the first tenth; and a model takes over as soon as its labels are there."""
    plan = list(takeovers(ROWS, every, late))
    assert [row for _, begin, end in plan for row in range(begin, end)] == list(range(100, ROWS))
    assert all(known + late <= begin for known, begin, _ in plan[1:])
    assert plan[0][:2] == (100, 100)
    assert len(plan) == 1 + len([at for at in range(100 + every, ROWS, every) if at + late < ROWS])


def test_baselines_know_what_was_known() -> None:
    """Labels that alternate: the newest one is wrong each time, the one before it right."""
    label = np.arange(ROWS) % 2
    stream = Stream("s", ("x",), ("no", "yes"), np.zeros((ROWS, 1), np.float32), label)
    assert [baselines(stream, late)[0] for late in (0, 1)] == [0.0, 1.0]
