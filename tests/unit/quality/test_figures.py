"""Figures of answers to a holdout, against the same by hand."""

from dataclasses import replace

import numpy as np
import pytest

from freshet.contracts.arrays import Floats32
from freshet.pipeline.gate import METRICS
from freshet.quality.figures import figures
from freshet.quality.setting import SliceRange
from support.outcomes import rows_of, setting

LABEL = np.array([0, 1, 1, 0, 1, 0, 0, 1, 1, 1])
VALUES = np.stack([np.arange(10.0), np.zeros(10)], axis=1).astype(np.float32)
HOLDOUT = rows_of(10, label=LABEL, values=VALUES)


def scores_of(second: list[float]) -> Floats32:
    """Of two classes, given those of the second one."""
    share = np.array(second, np.float32)
    return np.stack([1 - share, share], axis=1)


GOOD = scores_of([0.1, 0.9, 0.8, 0.2, 0.7, 0.4, 0.3, 0.6, 0.9, 0.2])
POOR = scores_of([0.9, 0.9, 0.8, 0.2, 0.7, 0.4, 0.3, 0.6, 0.1, 0.2])


def test_each_answerer_has_its_figures_on_the_same_rows() -> None:
    """Accuracy and log-loss with their intervals."""
    found = figures(HOLDOUT, {"candidate": GOOD, "champion": POOR}, setting())
    assert found["candidate.accuracy"] == pytest.approx(0.9)
    assert found["champion.accuracy"] == pytest.approx(0.7)
    losses = -np.log(GOOD[np.arange(10), LABEL].astype(np.float64))
    assert found["candidate.log_loss"] == pytest.approx(losses.mean())
    margin = 1.96 * losses.std() / np.sqrt(10)
    assert found["candidate.log_loss.low"] == pytest.approx(losses.mean() - margin, rel=1e-3)
    assert found["candidate.log_loss.high"] == pytest.approx(losses.mean() + margin, rel=1e-3)
    assert "candidate.mae" not in found
    assert "candidate.unanswered" not in found


def test_every_metric_that_a_gate_may_ask_for_has_a_figure() -> None:
    """A clause without one would fail for ever, or of a slice hold unmeasured."""
    found = figures(HOLDOUT, {"candidate": GOOD}, setting())
    assert {metric for metric in METRICS if f"candidate.{metric}" not in found} == {"mae", "rmse", "r2"}


def test_rows_that_one_does_not_answer_count_for_nobody() -> None:
    """Else it would win by answering only what is easy; how many they are is told."""
    gaps = POOR.copy()
    gaps[[0, 8]] = np.nan
    found = figures(HOLDOUT, {"candidate": GOOD, "champion": gaps}, setting())
    assert found["champion.unanswered"] == 2
    assert found["candidate.accuracy"] == found["champion.accuracy"] == pytest.approx(7 / 8)
    assert "candidate.unanswered" not in found


def test_a_slice_has_figures_of_its_own() -> None:
    """With how many rows it has; one without rows has no others."""
    parts = [SliceRange("late", 0, 8.0, np.inf), SliceRange("never", 0, 50.0, np.inf)]
    found = figures(HOLDOUT, {"candidate": GOOD}, setting(slices=parts))
    assert found["candidate.slice.late.rows"] == 2
    assert found["candidate.slice.late.accuracy"] == pytest.approx(0.5)
    assert [name for name in found if "never" in name] == ["candidate.slice.never.rows"]


def test_values_have_errors() -> None:
    """Of a regression."""
    truth = np.arange(10.0)
    rows = replace(HOLDOUT, truth=truth, label=np.full(10, -1), answer=np.full(10, -1))
    found = figures(rows, {"candidate": (truth + 1)[:, None].astype(np.float32)}, setting(classes=()))
    assert found["candidate.mae"] == found["candidate.mae.low"] == found["candidate.rmse"] == pytest.approx(1)
    assert "candidate.accuracy" not in found


def test_without_a_holdout_nothing_is_told() -> None:
    """Nor is anything made up."""
    assert figures(HOLDOUT.take(np.arange(0)), {"candidate": GOOD[:0]}, setting()) == {}
