"""Models that the demo trains while services work beside it."""

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_info

from freshet.lab.demo.training import train


def test_training_takes_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine OpenMP's threads wait for each other, and take many times as long."""
    threads: list[int] = []

    def fit(self: Any, *_: Any) -> Any:
        threads.extend(pool["num_threads"] for pool in threadpool_info())
        return self

    monkeypatch.setattr(HistGradientBoostingClassifier, "fit", fit)
    train("trees", np.zeros((2, 1), np.float32), ["a", "b"])
    assert set(threads) == {1}
