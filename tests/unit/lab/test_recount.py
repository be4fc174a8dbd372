"""Quality counted again from predictions and a table: it agrees with evaluations that are right, and with no others."""

from unittest.mock import Mock

import numpy as np
import pytest

from freshet.lab.demo.answer_book import Answer, LoggedRow
from freshet.lab.demo.recount import Compared, compared, recount
from freshet.ledger.ledger import PipelineLedger
from freshet.operate.quality.series_quality import quality
from freshet.outcomes.outcome_rows import FIRST, KNOWN_BEFORE, OutcomeRows
from freshet.quality.fold import evaluations
from support.outcomes import CLASSES, cut, rows_of, setting

ROWS = 2_000


def log_of(seed: int, classes: tuple[str, ...]) -> OutcomeRows:
    """Labels late by up to a minute, some there before their prediction, answers by two versions."""
    rng = np.random.default_rng(seed)
    predicted = np.sort(rng.integers(0, 200 * ROWS, ROWS))
    flags = np.full(ROWS, FIRST)
    flags[rng.random(ROWS) < 0.05] |= KNOWN_BEFORE
    columns = {
        "versions": ("1.0.0", "1.1.0"),
        "version": rng.integers(0, 2, ROWS),
        "predicted_ms": predicted,
        "labelled_ms": predicted + rng.integers(0, 60_000, ROWS),
        "flags": flags,
    }
    if classes:
        return rows_of(ROWS, label=rng.integers(0, 2, ROWS), answer=rng.integers(0, 2, ROWS), **columns)
    scores = rng.normal(size=(ROWS, 1)).astype(np.float32)
    return rows_of(ROWS, truth=rng.normal(size=ROWS), scores=scores, **columns)


def judged(rows: OutcomeRows, classes: tuple[str, ...], *, wrong: int | None = None) -> Compared:
    """The evaluations of this log against a recount whose table has one other truth."""

    def texts(at: int) -> tuple[str, str]:
        if classes:
            return classes[rows.label[at]], classes[rows.answer[at]]
        return repr(float(rows.truth[at])), repr(float(rows.scores[at, 0]))

    numbers = range(len(rows))
    truths = {f"e{at}": texts(at)[0] for at in numbers}
    if wrong is not None:
        truths[f"e{wrong}"] = next(text for text in truths.values() if text != truths[f"e{wrong}"])
    version = [rows.versions[code] for code in rows.version.tolist()]
    book = Mock(
        answers={(0, int(rows.prediction_offset[at])): Answer(f"e{at}", version[at], texts(at)[1]) for at in numbers},
        log=[
            LoggedRow(0, *place)
            for place in zip(
                rows.prediction_offset.tolist(),
                (rows.flags & KNOWN_BEFORE != 0).tolist(),
                rows.predicted_ms.tolist(),
                rows.labelled_ms.tolist(),
                strict=True,
            )
        ],
    )
    said = list(evaluations(enumerate(cut(rows, 300, 1_111)), {1: setting(classes=classes)}))
    early = sum(row.known_before for row in book.log)
    return compared(quality(said, PipelineLedger("p")), recount(book, truths, classes), known_before=early)


@pytest.mark.parametrize("classes", [CLASSES, ()])
def test_right_evaluations_are_found_right(classes: tuple[str, ...]) -> None:
    """All that was served, each version, and both baselines, which know only what was known."""
    found = judged(log_of(5, classes), classes)
    assert found.differences == ()
    assert found.series == 5
    assert found.rows > 1_500
    assert "say exactly the same" in found.text


def test_labels_that_count_nowhere_are_told() -> None:
    """Else a reader looks in vain for them among the rows; where there are none, nothing is said."""
    rows = log_of(5, CLASSES)
    early = int((rows.flags & KNOWN_BEFORE != 0).sum())
    assert f"{early} labels more are left out" in judged(rows, CLASSES).text
    assert "left out" not in Compared(5, 2_000, 0, ()).text


@pytest.mark.parametrize("classes", [CLASSES, ()])
def test_one_other_truth_is_found_in_each_series_that_has_it(classes: tuple[str, ...]) -> None:
    """A recount that would forgive a row would not be worth having."""
    rows = log_of(6, classes)
    wrong = int(rows.first[700])
    found = judged(rows, classes, wrong=wrong)
    assert any(text.startswith("served") for text in found.differences)
    assert any(text.startswith(f"version:{rows.versions[rows.version[wrong]]}") for text in found.differences)
    assert "are wrong" in found.text
