"""Many records of the labelled log taken in together against one after the other: the same, to the bit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freshet.contracts.errors import ContractError
from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.messages import Minute, Outcomes
from freshet.outcomes.outcome_rows import FIRST, REVISED
from freshet.quality.fold import State, first_state, step, steps
from freshet.quality.setting import SliceRange
from freshet.quality.state_bytes import to_bytes
from support.outcomes import MINUTE_MS, minutes_of, record_of, rows_of, setting

Placed = tuple[int, Outcomes]

LOW, HIGH = SliceRange("low", 0, -np.inf, 0.5), SliceRange("high", 1, 0.7, np.inf)
SETTINGS = {
    1: replace(setting(slices=[LOW]), partitions=2),
    2: replace(setting(slices=[LOW, HIGH]), partitions=2),
    3: replace(setting(classes=()), partitions=2),
}


def random_log(seed: int, versions: int, *, classes: int = 2) -> list[Placed]:
    """Records of two partitions, with few rows or none, offsets that skip, and any number of versions at a time."""
    rng = np.random.default_rng(seed)
    records: list[Placed] = []
    next_row, offset, now_ms = {0: 0, 1: int(rng.integers(0, 2)) * 100}, 0, 10 * MINUTE_MS
    for index in range(int(rng.integers(20, 80))):
        count, partition = int(rng.integers(0, 60)) * int(rng.random() < 0.9), int(rng.random() < 0.3)
        predicted = now_ms + np.sort(rng.integers(-200_000, 20_000, count))
        now_ms += int(rng.integers(0, 30_000))
        names = [f"1.{number}.0" for number in rng.permutation(np.arange(versions) + index // 10)]
        revised = rng.random(count) < 0.1
        score = rng.random((count, 1)).astype(np.float32)
        rows = rows_of(
            count,
            versions=tuple(names),
            version=rng.integers(0, versions, count),
            epoch=rng.integers(1, 4, count),
            predicted_ms=predicted,
            labelled_ms=predicted + rng.integers(0, 90_000, count),
            label=rng.integers(0, 2, count),
            answer=rng.integers(0, 2, count),
            truth=rng.normal(size=count),
            scores=np.hstack([1 - score, score]) if classes else score,
            weight=np.where(revised & (rng.random(count) < 0.5), -1, 1),
            flags=np.where(revised, REVISED, FIRST),
            values=rng.random((count, 2 + index // 40)).astype(np.float32),
        )
        minutes = minutes_of(rows) if rng.random() < 0.8 else ()
        more = Minute(start_ms=now_ms // MINUTE_MS * MINUTE_MS, predictions=int(rng.integers(0, 6)), labelled=0)
        number = 1 + int(index > 30 and rng.random() < 0.7) if classes else 3
        minutes += (more,) if rng.random() < 0.5 else ()
        record = record_of(rows, first_row=next_row[partition], partition=partition, number=number, minutes=minutes)
        records.append((offset, record))
        next_row[partition] += count
        offset += int(rng.integers(1, 4))
    return records


def one_by_one(records: list[Placed]) -> tuple[State, list[Evaluation]]:
    """As it is recomputed."""
    state, said = first_state(), list[Evaluation]()
    for offset, record in records:
        state, more = step(state, record, offset, SETTINGS)
        said += more
    return state, said


def together(records: list[Placed], ends: list[int]) -> tuple[State, list[Evaluation]]:
    """In batches that end there."""
    state, said, begin = first_state(), list[Evaluation](), 0
    for end in [*sorted(ends), len(records)]:
        state, more = steps(state, records[begin:end], SETTINGS)
        said, begin = said + more, max(begin, end)
    return state, said


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1 << 30), st.sampled_from([1, 2, 6, 9, 20]), st.lists(st.integers(0, 80), max_size=4))
def test_records_taken_in_together_say_what_each_says(seed: int, versions: int, ends: list[int]) -> None:
    """The same evaluations, of the same offsets and in the same order, and the same bytes of state."""
    records = random_log(seed, versions)
    (state, said), (expected, each) = together(records, ends), one_by_one(records)
    assert said == each
    assert to_bytes(state) == to_bytes(expected)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1 << 30), st.lists(st.integers(0, 80), max_size=4))
def test_sums_of_values_are_the_same_to_the_last_bit(seed: int, ends: list[int]) -> None:
    """They are floats, which tell in which order they were added."""
    records = random_log(seed, 2, classes=0)
    (state, said), (expected, each) = together(records, ends), one_by_one(records)
    assert (said, to_bytes(state)) == (each, to_bytes(expected))


@pytest.mark.parametrize("change", [{"first_row": 1_000_000}, {"label": b"\7\0"}, {"number": 9}])
def test_a_record_that_cannot_be_taken_in_is_refused_among_others_too(change: dict[str, object]) -> None:
    """A row that is missing, a class that is none, a specification that is unknown."""
    records = [(at, record_of(rows_of(1), first_row=at)) for at in range(9)]
    records[5] = (5, records[5][1].model_copy(update=change))
    assert steps(first_state(), records[:5], SETTINGS)[0].rows == 5
    with pytest.raises((ContractError, KeyError)):
        steps(first_state(), records, SETTINGS)
