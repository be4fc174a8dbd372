"""The closed loop by chance, in small: fixed seeds; `make sim` plays as many others as one likes."""

from collections import Counter

import pytest

from support.simulation.cheap import cheaply
from support.simulation.loop import play_loop

_SEEDS = range(1, 4)
_ACTS = 40


@pytest.mark.slow
def test_whatever_happens_to_retraining_each_occasion_has_one_answer_and_each_training_one_model() -> None:
    """Crashes at any call, take-overs, two processes at once, commands that come twice and are withdrawn."""
    done = Counter[str]()
    with cheaply():
        for seed in _SEEDS:
            done += play_loop(f"fixed/{seed}", _ACTS)
    assert min(done[what] for what in ("trainings finished", "trainings skipped", "trainings done again")) > 0
