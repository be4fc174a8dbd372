"""Quality estimated without labels: what scores promise, corrected by labels, by version, and never more than that."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from freshet.contracts.arrays import Bools, Floats
from freshet.contracts.evaluation_message import Evaluation
from freshet.operate.quality.estimated import NOTE, calibrations, estimates, estimates_document
from freshet.quality.calibration import Calibration
from freshet.quality.counts import SCORE_BINS, Counts
from freshet.quality.fold import evaluations
from support.frames import START_MS, ProfileLog
from support.outcomes import cut, rows_of, setting


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
    assert [one.version for one in estimates(log.frames, since_ms=START_MS + 2_040_000)] == ["1.0.1"]
    assert estimates_document([])["estimated"] == {"note": NOTE, "versions": []}


def boasting(chances: Floats) -> Floats:
    """Scores that are much too sure of themselves."""
    odds = 3 * np.log(chances / (1 - chances))
    found: Floats = 1 / (1 + np.exp(-odds))
    return found


def said(scores: Floats, labels: Bools, versions: tuple[str, ...] = ("1.0.0",)) -> list[Evaluation]:
    """The evaluations of such answers to two classes."""
    rows = rows_of(
        len(scores),
        versions=versions,
        answer=(scores >= 0.5).astype(np.int64),
        label=labels.astype(np.int64),
        scores=np.column_stack([1 - scores, scores]).astype(np.float32),
    )
    return list(evaluations(enumerate(cut(rows)), {1: setting()}))


def test_what_labels_said_corrects_scores_that_boast() -> None:
    """Of other answers than those with labels."""
    draw = np.random.default_rng(3)
    chances = draw.uniform(0.2, 0.8, size=20_000)
    labels = draw.random(len(chances)) < chances
    known = calibrations(said(boasting(chances[:10_000]), labels[:10_000]))
    log = ProfileLog()
    log.answers(boasting(chances[10_000:]))
    (found,) = estimates(log.frames, known)
    true = float(((chances >= 0.5) == labels)[10_000:].mean())
    assert found.labels >= 9_500
    assert found.accuracy == pytest.approx(true, abs=0.02)
    assert found.confidence > true + 0.1
    assert found.accuracy == estimates(log.frames, known, START_MS)[0].accuracy


def test_a_version_without_labels_is_not_corrected_by_those_of_another() -> None:
    """And says so: 0 labels."""
    scores = np.full(2_000, 0.9)
    known = calibrations(said(scores, np.zeros(2_000, np.bool_), ("1.0.0",)))
    log = ProfileLog()
    log.answers(scores, version="1.0.1")
    (found,) = estimates(log.frames, known)
    assert (found.labels, found.accuracy) == (0, found.confidence)


def test_of_more_classes_the_highest_score_counts() -> None:
    """Answers of .9 were right in half of the cases and those of .6 always: put together, as the curve may not fall."""
    counts = replace(Counts.none(3), score_bins=np.zeros((2, SCORE_BINS), np.int64))
    at = {confidence: int(confidence * SCORE_BINS) for confidence in (0.6, 0.9)}
    counts.score_bins[1, at[0.6]], counts.score_bins[:, at[0.9]] = 1_000, 500
    curve, answers = Calibration.of(counts), np.zeros(20, np.int64)
    answers[17:19] = 100
    assert curve.labels == 2_000
    assert curve.accuracy(answers) == pytest.approx(0.75, abs=0.02)


def test_services_do_not_know_it() -> None:
    """So it can promote and roll back nothing."""
    services = Path(__file__).parents[3] / "services"
    named = [
        path for path in services.rglob("*.py") if re.search(r"quality\.(estimated|calibration)", path.read_text())
    ]
    assert named == []


def test_the_curve_never_falls() -> None:
    """More confidence is worth no less, whatever chance did in a bin; without labels it is the scores' own."""
    draw = np.random.default_rng(4)
    scores = draw.uniform(size=3_000)
    (curve,) = calibrations(said(scores, draw.random(3_000) < scores)).values()
    assert (np.diff(curve.right) >= 0).all()
    assert np.isnan(curve.accuracy(np.zeros(20, np.int64)))
    bare = Calibration.of(Counts.none(2))
    assert (bare.labels, bare.accuracy(np.eye(20, dtype=np.int64)[17])) == (0, 0.875)
