"""What detectors see of many records at once against what they see of one after the other."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from freshet.contracts.messages import Minute
from freshet.detectors.alarm_of_finding import Recent
from freshet.detectors.detector import Minutes, Observed
from freshet.detectors.observing import ObservingState, observe
from freshet.outcomes.outcome_rows import FIRST, KNOWN_BEFORE, REVISED
from support.labelled_log import START_MS, Log, rows, value_rows

PROMISES = {"v1": 0.2, "v2": None}


def random_log(seed: int, *, values: bool) -> Log:
    """Records of few rows, some of another width, most with minutes, a few without a number for an error."""
    rng, log = np.random.default_rng(seed), Log(partitions=3)
    for index in range(40):
        count = int(rng.integers(0, 60))
        sizes = rng.random(count)
        columns: dict[str, Any] = {
            "flags": rng.choice([FIRST, REVISED, FIRST | KNOWN_BEFORE], count),
            "epoch": rng.integers(1, 9, count),
            "fallback": rng.integers(0, 2, count),
            "labelled_ms": START_MS + rng.integers(0, 1_000_000, count),
            "values": np.zeros((count, 1 + index // 25), np.float32),
            "version": np.zeros(count, np.int64),
        }
        sizes[rng.random(count) < 0.1] = np.nan
        starts_ms = START_MS // 60_000 * 60_000 + 60_000 * rng.integers(0, 5, int(rng.integers(0, 4)))
        minutes = [Minute(start_ms=at_ms, predictions=3, labelled=1, answer=0) for at_ms in starts_ms.tolist()]
        version = f"v{rng.integers(1, 3)}"
        made = value_rows(sizes, **columns) if values else rows((sizes > 0.5).astype(np.float64), **columns)
        log.append(replace(made, versions=(version,)), minutes=minutes)
    return log


def columns_of(observed: Observed, recent: Recent) -> list[object]:
    """All of it."""
    parts = (observed, observed.minutes, recent)
    return [
        (one.name, column.tolist(), column.dtype)
        for part in parts
        for one in fields(part)
        if not isinstance(column := getattr(part, one.name), Minutes)
    ]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1 << 30), st.booleans())
def test_many_records_are_seen_as_one_after_the_other(seed: int, values: bool) -> None:
    """The same columns and the same state; the scale of a regression becomes known on the way."""
    log = random_log(seed, values=values).records
    together, observed, recent = observe(ObservingState(), log, PROMISES)
    state, seen, kept = ObservingState(), list[Observed](), Recent.none()
    for one in log:
        state, more, new = observe(state, [one], PROMISES)
        seen.append(more)
        kept = kept.then(new)
    names = [one.name for one in fields(Observed) if one.name != "minutes"]
    apart = {name: np.concatenate([getattr(one, name) for one in seen]) for name in names}
    minutes = Minutes(*(np.concatenate([getattr(one.minutes, of.name) for one in seen]) for of in fields(Minutes)))
    assert repr(together) == repr(state)
    assert repr(columns_of(observed, recent)) == repr(columns_of(Observed(**apart, minutes=minutes), kept))
