"""Evaluation and detection say the same of a labelled log whether they are given its records together or one by one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freshet.avro.control import encode
from freshet.contracts.batch import Batch
from freshet.contracts.follower import Follower
from freshet.contracts.logic import Announce, DeadLetter, Effect, Fact, Hold
from freshet.contracts.messages import Outcomes
from freshet.drift.core.detect import DetectLogic
from freshet.drift.core.evaluate import EvaluateLogic
from freshet.runtime.bus.memory.partition_log import At, MemoryRecord, Payload
from support.evaluating import pipeline_record
from support.inference import model
from support.outcomes import minutes_of, record_of, rows_of

FOLLOWERS = (EvaluateLogic, DetectLogic)
STRANGE = ("nothing", "empty", "torn", "longer", "of another pipeline", "damaged")


def follower(kind: type[Follower[Any]]) -> Follower[Any]:
    """One that knows all that the log names."""
    made = kind("p")  # type: ignore[call-arg]
    made.fold(Fact("pipelines", "p/1", pipeline_record()))
    made.fold(Fact("models", "p/1.0.0", model("1.0.0")))
    made.begin(0)
    return made


def random_log(seed: int) -> list[Outcomes]:
    """Records of few rows, in whose second half most answers are wrong."""
    rng, found, first = np.random.default_rng(seed), list[Outcomes](), 0
    for _ in range(60):
        count = int(rng.integers(0, 50))
        at = first + np.arange(count)
        columns = {"predicted_ms": 300 * at, "labelled_ms": 300 * at + 5_000, "label": rng.integers(0, 2, count)}
        wrong = rng.random(count) < (0.1 if first < 800 else 0.8)
        rows = rows_of(count, answer=np.where(wrong, 1 - columns["label"], columns["label"]), **columns)
        found.append(record_of(rows, first_row=first, minutes=minutes_of(rows)))
        first += count
    return found


def strange(kind: str, value: bytes) -> bytes | None:
    """What a stranger, or a fault, may leave in the log."""
    record = record_of(rows_of(3))
    return {
        "nothing": None,
        "empty": b"",
        "torn": value[: len(value) // 2],
        "longer": value + b"\0",
        "of another pipeline": encode(record.model_copy(update={"pipeline": "q"})),
        "damaged": encode(record.model_copy(update={"label": b"\0"})),
    }[kind]


def followed(
    kind: type[Follower[Any]], values: Sequence[bytes | None], ends: Sequence[int]
) -> tuple[list[object], list[object], bytes, list[str]]:
    """What is said of these values, read in batches that end there: announced, set aside, kept; and why it holds."""
    logic, announced, aside = follower(kind), list[object](), list[object]()
    records = [MemoryRecord(At("outcomes", 0), 3 * n, 1000 + n, Payload(b"0", v)) for n, v in enumerate(values)]
    for begin, end in zip([0, *ends], [*ends, len(values)], strict=True):
        if begin == end:
            continue
        batch = Batch("outcomes", records[begin:end])
        effects: list[Effect] = list(logic.on_batch(batch))
        if holds := [effect.reason for effect in effects if isinstance(effect, Hold)]:
            return announced, aside, b"", holds
        announced += [(one.role, one.message) for one in effects if isinstance(one, Announce)]
        for one in effects:
            if isinstance(one, DeadLetter):
                aside += zip(batch.offsets[one.rows].tolist(), [one.reason] * len(one.rows), one.details, strict=True)
        logic.committed(0)
    return announced, sorted(aside, key=repr), logic.dump(0), []


@pytest.mark.parametrize("kind", FOLLOWERS)
@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    ends=st.lists(st.integers(0, 60), max_size=4).map(sorted),
    others=st.lists(st.tuples(st.integers(0, 59), st.sampled_from(STRANGE)), max_size=5),
)
def test_records_together_lead_to_what_one_by_one_leads_to(
    kind: type[Follower[Any]], seed: int, ends: list[int], others: list[tuple[int, str]]
) -> None:
    """With what strangers left between them: the same words, the same dead letters, the same bytes of state."""
    values: list[bytes | None] = [encode(record) for record in random_log(seed)]
    for at, what in others:
        values.insert(at, strange(what, encode(random_log(seed)[0])))
    apart = followed(kind, values, range(1, len(values)))
    assert followed(kind, values, ends) == apart
    assert apart[0]
    assert len(apart[1]) == len(others)


@pytest.mark.parametrize("kind", FOLLOWERS)
@pytest.mark.parametrize("lost", [1, 30, 58])
def test_a_record_that_is_missing_is_named_as_one_by_one(kind: type[Follower[Any]], lost: int) -> None:
    """With the place of the record behind it."""
    records = [record for record in random_log(3) if record.rows]
    values = [encode(record) for at, record in enumerate(records) if at != min(lost, len(records) - 2)]
    apart, together = followed(kind, values, range(1, len(values))), followed(kind, values, [])
    assert together[3] == apart[3] != []
