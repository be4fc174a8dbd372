"""The join reads two random logs in many ways: batches, refused commits, deaths, lost slabs, offsets set back.

Every reading gives the rows, counts and marks of a reference that reads them record by record, and the same state.
"""

import random

import pytest

from freshet.drift.core.join.join_state import JoinState
from support.join_logs import Logs, random_logs
from support.join_reading import Reading
from support.join_reference import Reference

QUICK = range(6)
MANY = range(100, 103)
MORE = range(103, 112)


def reference(logs: Logs, rng: random.Random) -> Reference:
    """What follows from the logs, read in some order."""
    found = Reference(logs.windows)
    asked, labels = logs.predictions[::-1], logs.labels[::-1]
    while asked or labels:
        if rng.random() < len(asked) / (len(asked) + len(labels)):
            found.prediction(asked.pop())
        else:
            found.label(labels.pop())
    return found


def agree(seed: int) -> None:
    """Some readings of the logs of this seed."""
    rng = random.Random(seed)
    logs = random_logs(rng)
    expected, states = reference(logs, rng), set[bytes]()
    for _ in range(4):
        reading = Reading(logs, rng)
        reading.run()
        assert sorted(reading.rows) == sorted(expected.rows)
        assert +reading.minutes == +expected.minutes
        _same(reading.state, expected)
        states.add(reading.state.dump())
    assert len(states) == 1


def _same(state: JoinState, expected: Reference) -> None:
    assert +state.counts == +expected.counts
    told, open_now = state.told, [asked for asked in expected.asked if not (asked.closed or asked.duplicate)]
    assert told["waiting"] == len(expected.waiting) == state.waiting.rows().size
    assert told["open"] == sum(asked.revision < -(2**31) for asked in open_now)


@pytest.mark.parametrize("seed", QUICK)
def test_every_reading_gives_the_same(seed: int) -> None:
    """A few, at each change."""
    agree(seed)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", MANY)
def test_many_readings_give_the_same(seed: int) -> None:
    """Many, now and then."""
    agree(seed)


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", MORE)
def test_more_readings_give_the_same(seed: int) -> None:
    """Still more, with the long runs."""
    agree(seed)
