"""The fold of the labelled log against one that goes row by row, and in every cut of the rows."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freshet.contracts.errors import ContractError
from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.messages import Outcomes
from freshet.outcomes.outcome_rows import FIRST, KNOWN_BEFORE, REVISED, OutcomeRows
from freshet.quality import arrival
from freshet.quality.fold import State, evaluations, first_state, step
from freshet.quality.setting import Setting, SliceRange
from freshet.quality.state_bytes import from_bytes, to_bytes
from support.outcomes import cut, record_of, rows_of, setting

BIG = SliceRange("big", 1, 0.5, np.inf)
SETTINGS = {1: setting(slices=[BIG])}


def folded(records: Sequence[Outcomes], numbered: dict[int, Setting] = SETTINGS) -> tuple[State, list[Evaluation]]:
    """State and evaluations behind these records."""
    state, said = first_state(), list[Evaluation]()
    for offset, record in enumerate(records):
        state, more = step(state, record, offset, numbered)
        said += more
    return state, said


@dataclass
class Naive:
    """The arrival view, row by row and with dictionaries."""

    slices: Sequence[SliceRange]
    open: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    said: list[tuple[str, int, int, int, int, dict[str, int], Counter[tuple[int, int]], float]] = field(
        default_factory=list
    )

    def fold(self, rows: OutcomeRows) -> None:
        """Take in all rows of a log."""
        known_ms = np.maximum.accumulate(rows.labelled_ms) if len(rows) else rows.labelled_ms
        for row in range(len(rows)):
            known = 0
            while known < row and known_ms[known] < rows.predicted_ms[row]:
                known += 1
            if rows.flags[row] & KNOWN_BEFORE:
                continue
            version = rows.versions[rows.version[row]]
            names = ["served", f"version:{version}"]
            names += [f"slice:{one.name}" for one in self.slices if one.low <= rows.values[row, one.feature] < one.high]
            answers = dict.fromkeys(names, int(rows.answer[row]))
            if known:
                totals = Counter({0: 0, 1: 0})
                for at in range(known):
                    totals[int(rows.label[at])] += int(rows.weight[at])
                if sum(totals.values()) > 0:
                    answers["baseline:majority"] = 0 if totals[0] >= totals[1] else 1
                answers["baseline:no_change"] = int(rows.label[known - 1])
            for name, answer in answers.items():
                self._count(name, row, rows, answer)

    def _count(self, name: str, row: int, rows: OutcomeRows, answer: int) -> None:
        mine = self.open[name]
        mine.append((row, answer))
        if len(mine) < arrival.EVERY_ROWS:
            return
        confusion: Counter[tuple[int, int]] = Counter()
        versions: Counter[str] = Counter()
        loss = 0.0
        for at, said in mine:
            weight = int(rows.weight[at])
            confusion[int(rows.label[at]), said] += weight
            versions[rows.versions[rows.version[at]]] += weight
            if not name.startswith("baseline:"):
                loss += weight * -np.log(max(float(rows.scores[at, rows.label[at]]), 1e-15))
        times = [int(rows.predicted_ms[at]) for at, _ in mine]
        place = (mine[0][0], mine[-1][0] + 1, min(times), max(times) + 1)
        self.said.append((name, *place, dict(versions), confusion, loss))
        mine.clear()


def random_log(seed: int, count: int) -> OutcomeRows:
    """Labels late by up to some rows, corrected, known before, by three versions and under two epochs."""
    rng = np.random.default_rng(seed)
    predicted = np.sort(rng.integers(0, 500 * count, count))
    labelled = predicted + rng.integers(0, 50_000, count)
    flags = np.full(count, FIRST)
    flags[rng.random(count) < 0.05] |= KNOWN_BEFORE
    weight = np.ones(count, np.int64)
    revised = rng.random(count) < 0.1
    flags[revised], weight[revised & (rng.random(count) < 0.5)] = REVISED, -1
    scores = rng.random((count, 1)).astype(np.float32)
    return rows_of(
        count,
        versions=("1.0.0", "1.1.0", "2.0.0"),
        version=rng.integers(0, 3, count),
        epoch=rng.integers(1, 3, count),
        predicted_ms=predicted,
        labelled_ms=labelled,
        label=rng.integers(0, 2, count),
        answer=rng.integers(0, 2, count),
        scores=np.hstack([1 - scores, scores]),
        weight=weight,
        flags=flags,
        values=rng.random((count, 2)).astype(np.float32),
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(0, 1500), st.lists(st.integers(1, 1400), max_size=6))
def test_it_says_what_the_naive_one_says(seed: int, count: int, ends: list[int]) -> None:
    """Every series of the arrival view, with ranges, counts and versions."""
    rows = random_log(seed, count)
    naive = Naive([BIG])
    naive.fold(rows)
    _, said = folded(cut(rows, *sorted(end for end in set(ends) if end < count)))
    found = [one for one in said if one.view == "arrival"]
    assert sorted(one.series for one in found) == sorted(one[0] for one in naive.said)
    by_series = sorted(naive.said, key=lambda one: (one[2], one[0]))
    for one, expected in zip(sorted(found, key=lambda one: (one.end_row, one.series)), by_series, strict=True):
        name, first, end, start_ms, end_ms, versions, confusion, loss = expected
        assert (one.series, one.first_row, one.end_row) == (name, first, end)
        assert (one.start_ms, one.end_ms) == (start_ms, end_ms)
        assert dict(one.versions) == versions
        cells = np.frombuffer(one.confusion, "<i8").reshape(2, 2)
        assert {(at, to): cells[at, to] for at in (0, 1) for to in (0, 1)} == {
            (at, to): confusion[at, to] for at in (0, 1) for to in (0, 1)
        }
        assert one.log_loss_sum == pytest.approx(loss, rel=1e-12, abs=1e-12)
        assert one.rows == sum(versions.values())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 30), st.lists(st.integers(1, 2400), max_size=8))
def test_rows_decide_and_not_how_they_are_cut(seed: int, ends: list[int]) -> None:
    """The same bytes of state, the same evaluations but for the record that brought them; also over a checkpoint."""
    rows = random_log(seed, 2400)
    whole, said = folded(cut(rows))
    state, in_parts = first_state(), list[Evaluation]()
    for offset, record in enumerate(cut(rows, *sorted(end for end in set(ends) if end < 2400))):
        state, more = step(from_bytes(to_bytes(state)), record, offset, SETTINGS)
        in_parts += more
    assert to_bytes(state) == to_bytes(whole)
    assert [one.model_copy(update={"through": 0}) for one in in_parts] == [
        one.model_copy(update={"through": 0}) for one in said
    ]


def test_values_of_a_regression_are_evaluated_beside_the_last_value_and_the_mean() -> None:
    """Labels come before the next prediction."""
    truth = np.arange(300, dtype=np.float64) % 7
    rows = rows_of(300, label=-1, answer=-1, truth=truth, scores=np.full((300, 1), 3, np.float32))
    numbered = {1: setting(classes=())}
    state, said = folded(cut(rows, 100), numbered)
    by_series = {one.series: one for one in said}
    assert sorted(by_series) == ["baseline:majority", "baseline:no_change", "served", "version:1.0.0"]
    assert by_series["served"].absolute_sum == np.abs(truth[:250] - 3).sum()
    assert by_series["baseline:no_change"].absolute_sum == np.abs(np.diff(truth[:251])).sum()
    means = np.cumsum(truth) / np.arange(1, 301)
    assert by_series["baseline:majority"].absolute_sum == pytest.approx(np.abs(truth[1:251] - means[:250]).sum())
    assert to_bytes(from_bytes(to_bytes(state))) == to_bytes(state)


def test_a_correction_takes_the_old_label_out_again() -> None:
    """250 rows, one of which is put right: 249 labels count, all of them right."""
    label, weight, flags = np.ones(250, np.int64), np.ones(250, np.int64), np.full(250, FIRST)
    label[10] = label[248] = 0
    weight[248], flags[248:] = -1, REVISED
    (one, *_) = folded(cut(rows_of(250, label=label, weight=weight, flags=flags)))[1]
    assert (one.series, one.rows) == ("served", 248)
    assert np.frombuffer(one.confusion, "<i8").tolist() == [0, 0, 0, 248]


def test_a_gap_in_the_log_is_refused() -> None:
    """Also rows that come twice."""
    first, rest = cut(rows_of(20), 10)
    state, _ = folded([first])
    with pytest.raises(ContractError, match="row 10 should come"):
        step(state, rest.model_copy(update={"first_row": 11}), 1, SETTINGS)
    with pytest.raises(ContractError, match="begins with row 0"):
        step(state, first, 1, SETTINGS)


def test_rows_that_expired_before_they_were_read_keep_their_numbers() -> None:
    """Of a log that is followed from its middle."""
    (one, *_) = folded([record_of(rows_of(250), first_row=1000)])[1]
    assert (one.first_row, one.end_row) == (1000, 1250)


@pytest.mark.parametrize(
    ("columns", "classes"),
    [({"label": 2}, 2), ({"answer": -1}, 2), ({"scores": np.zeros((3, 3), np.float32)}, 2)],
)
def test_what_the_pipeline_cannot_have_written_is_refused(columns: dict[str, Any], classes: int) -> None:
    """Counted as anything it would be a lie."""
    with pytest.raises(ContractError, match=r"class|scores"):
        folded([record_of(rows_of(3, **columns))])


def test_a_slice_that_becomes_another_says_what_it_had_and_begins_anew() -> None:
    """Under a higher number; a lower one, of a worker that has not followed yet, changes nothing."""
    numbered = {1: setting(slices=[BIG]), 2: setting(slices=[SliceRange("big", 1, 5, np.inf)])}
    records = cut(rows_of(400, values=np.ones((400, 2), np.float32)), 100, 200)
    numbers = (1, 2, 1)
    records = [one.model_copy(update={"number": number}) for one, number in zip(records, numbers, strict=True)]
    state, said = folded(records, numbered)
    assert [(one.series, one.end_row) for one in said if one.series == "slice:big"] == [("slice:big", 100)]
    assert "slice:big" not in state.series


def test_a_version_of_few_rows_is_served_only_and_old_ones_give_way() -> None:
    """Forty versions of 60 rows, then one of many: the state stays small."""
    count = 40 * 60 + 600
    version = np.minimum(np.arange(count) // 60, 40)
    names = tuple(f"1.{number}.0" for number in range(41))
    state, said = folded(cut(rows_of(count, version=version, versions=names), *range(60, count, 60)))
    assert {one.series for one in said if one.series.startswith("version:")} == {"version:1.40.0"}
    assert sum(name.startswith("version:") for name in state.series) == arrival.OPEN_VERSIONS


def test_all_evaluations_of_a_log_are_those_of_its_steps() -> None:
    """What verify recomputes."""
    records = cut(random_log(3, 2000), 700, 900)
    assert list(evaluations(enumerate(records), SETTINGS)) == folded(records)[1]
