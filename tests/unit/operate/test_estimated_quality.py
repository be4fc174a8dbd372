"""Quality estimated without labels: what calibrated scores promise, by version, and never more than an estimate."""

import numpy as np
import pytest

from freshet.operate.quality.estimated import NOTE, estimates, estimates_document
from support.frames import START_MS, ProfileLog


def test_calibrated_scores_give_the_accuracy_that_labels_give() -> None:
    """Labels are drawn with the probability that the scores say."""
    chance = np.random.default_rng(1)
    scores = chance.beta(0.7, 0.7, size=20_000)
    labels = chance.random(len(scores)) < scores
    log = ProfileLog()
    log.answers(scores)
    (found,) = estimates(log.frames)
    assert found.answers == len(scores)
    assert found.accuracy == pytest.approx(float(((scores >= 0.5) == labels).mean()), abs=0.02)


def test_each_version_is_told_and_features_are_passed_over() -> None:
    """In the order in which they answered; only those of the time that is asked for."""
    log = ProfileLog(rate=1.0)
    log.features(np.random.default_rng(2).normal(size=(2000, 2)))
    log.answers(np.full(2048, 0.9), version="1.0.0")
    log.answers(np.full(1024, 0.6), version="1.0.1")
    first, second = estimates(log.frames)
    assert (first.version, second.version) == ("1.0.0", "1.0.1")
    assert first.accuracy == pytest.approx(0.9, abs=0.03)
    assert second.accuracy == pytest.approx(0.6, abs=0.03)
    assert [one.version for one in estimates(log.frames, START_MS + 2_050_000)] == ["1.0.1"]
    assert estimates_document([])["estimated"] == {"note": NOTE, "versions": []}
