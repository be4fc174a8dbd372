"""The judge's own pairing of labels and predictions agrees with the join's reference, which reads one at a time."""

import random
from collections import Counter

import numpy as np
import pytest

from freshet.operate.verify.drift.compared import ASKED, TOLD, Table
from freshet.operate.verify.drift.pairing import expected
from freshet.operate.verify.drift.windows import Windows
from support.join_logs import Logs, random_logs
from support.join_reference import Id, Label, Prediction, Reference


def reference(logs: Logs, rng: random.Random) -> Reference:
    """What comes of reading both logs in some order."""
    found, predictions, labels = Reference(logs.windows), list(logs.predictions), list(logs.labels)
    while predictions or labels:
        if predictions and (not labels or rng.random() < 0.5):
            found.prediction(predictions.pop(0))
        else:
            found.label(labels.pop(0))
    return found


def columns(logs: Logs) -> tuple[Table, Table]:
    """Both logs as the judge has them."""
    codes: dict[Id, int] = {}

    def code(one: Prediction | Label) -> int:
        return codes.setdefault(one.id, len(codes))

    asked = [(code(one), one.offset, one.time_ms, one.plan) for one in logs.predictions]
    told = [
        (code(one), one.offset, one.time_ms, one.plan, one.claimed_ms, one.revision, one.value) for one in logs.labels
    ]
    return np.array(asked, ASKED), np.array(told, TOLD)


@pytest.mark.parametrize("seed", range(40))
def test_rows_and_counts_are_those_of_reading_one_record_after_the_other(seed: int) -> None:
    """Re-used ids, corrections out of order, labels early, late and of nobody, a new specification on the way."""
    rng = random.Random(seed)
    logs = random_logs(rng)
    windows = {plan: Windows(*(getattr(of, name) for name in Windows._fields)) for plan, of in logs.windows.items()}
    one_by_one = reference(logs, rng)
    found = expected(*columns(logs), windows)
    unsure = set(found.unsure.tolist())
    assert len(windows) > 1 or not unsure

    names = ("prediction", "weight", "value", "revision", "label", "labelled_ms", "claimed_ms", "flags")
    mine = sorted(tuple(row[name] for name in names) for row in found.rows if row["prediction"] not in unsure)
    assert mine == sorted(tuple(row) for row in one_by_one.rows if row.prediction_offset not in unsure)
    if not unsure:
        counts = Counter(found.counts)
        assert counts.pop("waiting") == len(one_by_one.waiting)
        still_open = sum(one.revision < -(2**31) and not (one.closed or one.duplicate) for one in one_by_one.asked)
        assert counts.pop("open") == still_open
        assert +counts == +one_by_one.counts


@pytest.mark.parametrize("seed", range(20))
def test_what_is_sure_without_the_oldest_records_is_what_they_would_have_told(seed: int) -> None:
    """Retention takes the front of both logs: what is still told apart is told as before."""
    rng = random.Random(seed)
    logs = random_logs(rng)
    if len(logs.windows) > 1:
        return
    windows = {1: Windows(*(getattr(logs.windows[1], name) for name in Windows._fields))}
    asked, told = columns(logs)
    whole = expected(asked, told, windows)
    cut_ms = int(np.quantile(asked["time_ms"], 0.3))
    kept, labels = asked[asked["time_ms"] >= cut_ms], told[told["time_ms"] >= cut_ms]
    edge_ms = int(kept["time_ms"][0]) + windows[1].reach
    part = expected(kept, labels, windows, edge_ms)
    sure = np.setdiff1d(kept["offset"][kept["time_ms"] >= edge_ms], part.unsure)

    def of_sure(rows: Table) -> list[tuple[object, ...]]:
        return sorted(map(tuple, rows[np.isin(rows["prediction"], sure)].tolist()))

    assert of_sure(part.rows) == of_sure(whole.rows)


@pytest.mark.parametrize("said", [True, False])
def test_what_silence_alone_tells_may_have_been_said_or_not(said: bool) -> None:
    """No label came, and predictions went on: the join may have found that the first one has none any more."""
    windows = {1: Windows(600_000, 60_000, 60_000, absent_after=300_000)}
    asked = np.array([(1, 0, 0, 1), (2, 1, 350_000, 1), (3, 2, 400_000, 1)], ASKED)
    found = expected(asked, np.zeros(0, TOLD), windows, 0, np.array([0, 1] if said else [], np.int64))
    assert found.silence
    assert found.rows["prediction"].tolist() == ([0] if said else [])
    assert found.counts["absent"] == said
    assert not expected(asked[1:], np.zeros(0, TOLD), windows).silence
