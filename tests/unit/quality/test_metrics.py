"""Metrics from counts are those that scikit-learn computes from the rows."""

import math

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from freshet.outcomes.outcome_rows import OutcomeRows
from freshet.quality.counts import Counts
from freshet.quality.measures import added, served
from freshet.quality.metrics import Metrics, metrics, wilson
from support.outcomes import rows_of

RNG = np.random.default_rng(7)


def counts_of(rows: OutcomeRows, classes: int) -> Counts:
    """All rows as one series."""
    measures = served(rows, np.arange(len(rows)), 0, classes)
    every = np.arange(len(measures))
    return added([Counts.none(classes)], measures, every, np.zeros_like(every))[0]


def classified(count: int, classes: int) -> OutcomeRows:
    """Random answers that are right more often than not; the last class never occurs, where there are more than two."""
    label = RNG.integers(0, classes - (classes > 2), count)
    scores = RNG.dirichlet(np.ones(classes), count)
    scores[np.arange(count), label] += 0.4
    scores /= scores.sum(axis=1, keepdims=True)
    return rows_of(count, label=label, answer=scores.argmax(axis=1), scores=scores.astype(np.float32))


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_classes(classes: int) -> None:
    """Accuracy, precision, recall, F1, kappa and log loss exactly."""
    rows = classified(3000, classes)
    found = metrics(counts_of(rows, classes))
    assert found.accuracy == pytest.approx(sklearn_metrics.accuracy_score(rows.label, rows.answer))
    assert found.balanced_accuracy == pytest.approx(
        np.mean(sklearn_metrics.recall_score(rows.label, rows.answer, average=None, labels=np.unique(rows.label)))
    )
    there = range(classes)
    precision, recall, f1, _ = sklearn_metrics.precision_recall_fscore_support(
        rows.label, rows.answer, labels=there, zero_division=np.nan
    )
    assert found.precision == pytest.approx(precision, nan_ok=True)
    assert found.recall == pytest.approx(recall, nan_ok=True)
    occurs = np.union1d(rows.label, rows.answer)
    assert np.array(found.f1)[occurs] == pytest.approx(f1[occurs])
    assert found.macro_f1 == pytest.approx(
        sklearn_metrics.f1_score(rows.label, rows.answer, average="macro", zero_division=0.0)
    )
    assert found.kappa == pytest.approx(sklearn_metrics.cohen_kappa_score(rows.label, rows.answer))
    scores = rows.scores.astype(np.float64)
    own = -np.log(scores[np.arange(len(rows)), rows.label]).mean()
    assert found.log_loss == pytest.approx(own)


def test_two_classes_have_an_area_under_the_curve_and_a_calibration() -> None:
    """Both from bins of 1/64, so nearly."""
    rows = classified(5000, 2)
    found = metrics(counts_of(rows, 2))
    assert found.auc == pytest.approx(sklearn_metrics.roc_auc_score(rows.label, rows.scores[:, 1]), abs=0.005)
    scores, truths = rows.scores[:, 1].astype(np.float64), rows.label
    bins = np.minimum((scores * 64).astype(int), 63)
    gaps = [
        abs(truths[bins == one].mean() - scores[bins == one].mean()) * (bins == one).sum() for one in np.unique(bins)
    ]
    assert found.calibration_error == pytest.approx(sum(gaps) / len(rows), abs=1 / 64)


def test_values() -> None:
    """MAE, RMSE and R² of a regression."""
    truth = RNG.normal(10, 3, 2000)
    answer = (truth + RNG.normal(0, 1, 2000)).astype(np.float32)
    rows = rows_of(2000, label=-1, answer=-1, truth=truth, scores=answer[:, None])
    found = metrics(counts_of(rows, 0))
    answers = answer.astype(np.float64)
    assert found.mae == pytest.approx(sklearn_metrics.mean_absolute_error(truth, answers))
    assert found.rmse == pytest.approx(math.sqrt(sklearn_metrics.mean_squared_error(truth, answers)))
    assert found.r2 == pytest.approx(sklearn_metrics.r2_score(truth, answers))
    error = np.abs(truth - answers)
    margin = 1.959964 * error.std() / math.sqrt(len(error))
    assert found.mae_interval == pytest.approx((found.mae - margin, found.mae + margin))
    assert math.isnan(found.accuracy)


def test_an_interval_by_wilson() -> None:
    """81 of 263 right, and none of ten."""
    low, high = wilson(81 / 263, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    low, high = wilson(0.0, 10)
    assert (low, round(high, 4)) == (0.0, 0.2775)


def test_without_rows_nothing_is_defined() -> None:
    """Every metric is NaN, none is an error."""
    for classes in (0, 2, 3):
        found = metrics(Counts.none(classes))
        numbers = [
            getattr(found, name) for name in ("accuracy", "macro_f1", "kappa", "log_loss", "auc", "mae", "rmse", "r2")
        ]
        assert all(map(math.isnan, numbers))
        assert isinstance(found, Metrics)


def test_a_score_that_is_no_number_is_in_no_bin_and_counts_as_the_least() -> None:
    """Nothing becomes NaN for its sake."""
    counts = counts_of(rows_of(2, scores=np.array([[np.nan, np.nan], [0.1, 0.9]], np.float32)), 2)
    assert counts.score_bins.sum() == 1
    assert counts.sums[0] == pytest.approx(-math.log(1e-15) - math.log(0.9), rel=1e-6)


def test_a_value_that_is_no_number_is_left_out() -> None:
    """Of a regression."""
    rows = rows_of(
        3, label=-1, answer=-1, truth=np.array([1.0, np.nan, 2.0]), scores=np.array([[2], [2], [np.inf]], np.float32)
    )
    counts = counts_of(rows, 0)
    assert (counts.rows, counts.sums[1]) == (1, 1.0)


def test_counts_of_two_ranges_add_up_to_those_of_both() -> None:
    """Integers exactly."""
    rows = classified(500, 3)
    parts = [counts_of(rows.take(np.arange(begin, end)), 3) for begin, end in ((0, 200), (200, 500))]
    both, whole = parts[0] + parts[1], counts_of(rows, 3)
    assert (both.confusion == whole.confusion).all()
    assert (both.score_bins == whole.score_bins).all()
    assert (both.rows, both.versions, both.start_ms, both.end_ms) == (500, {"1.0.0": 500}, 0, 499_001)
    assert both.sums == pytest.approx(whole.sums)
