"""A partition in which nothing happened for longer than its records are kept, and a worker that starts again."""

import pytest

from freshet.runtime.bus.protocol import FatalError
from freshet.runtime.data_loop import DataLoop
from support.join_stage import NAMES, JoinStage

_PLAIN = "{horizon: 10m, grace: 1m, wait: 2m}"
_ABSENT = "{horizon: 5m, grace: 1m, wait: 1m, absent_after: 2m, means: ok}"
_MINUTE_MS = 60_000
_WEEK_MS = 7 * 24 * 60 * _MINUTE_MS


def silent(label: str, away_ms: int, *, unread: tuple[str, ...] = ()) -> tuple[JoinStage, DataLoop]:
    """Three predictions, one with its label, both logs expired; `unread` are labels that came meanwhile."""
    stage = JoinStage(label, partitions=1)
    stage.world.ask(["a-1", "a-2", "a-3"])
    stage.world.tell([("a-1", 0, "ok")])
    first = stage.worker()
    stage.drain(first)
    first.close()
    stage.pass_time(_MINUTE_MS)
    stage.world.tell([(name, 0, "ok") for name in unread])
    stage.pass_time(away_ms)
    stage.cluster.truncate(NAMES.topic("predictions"), 0, 3)
    stage.cluster.truncate(NAMES.topic("labels"), 0, 1)
    stage.world.ask(["b-1"])
    return stage, stage.worker()


def test_rows_that_expired_in_a_silent_partition_are_not_missed_once_they_are_out_of_reach() -> None:
    """Nothing that is yet to come can concern them: those without a label count as expired, and it goes on."""
    stage, worker = silent(_PLAIN, _WEEK_MS)
    stage.drain(worker)
    stage.world.tell([("a-2", 0, "ok"), ("b-1", 0, "ok")])
    stage.drain(worker)
    told = stage.state(worker).told
    assert {name: told[name] for name in ("matched", "expired", "open")} == {"matched": 2, "expired": 2, "open": 0}


@pytest.mark.parametrize(
    ("label", "away_ms", "unread"),
    [
        pytest.param(_PLAIN, 5 * _MINUTE_MS, (), id="within reach of what is yet to come"),
        pytest.param(_PLAIN, _WEEK_MS, ("a-2",), id="a label that nobody has read is still there"),
        pytest.param(_ABSENT, _WEEK_MS, (), id="the absence of a label is an answer"),
    ],
)
def test_it_stops_where_a_row_that_expired_may_still_matter(label: str, away_ms: int, unread: tuple[str, ...]) -> None:
    """Else a pair would be missing without a word."""
    stage, worker = silent(label, away_ms, unread=unread)
    with pytest.raises(FatalError, match="the state of partition 0 is lost: it rests on predictions/0 0 to 3"):
        stage.turn(worker, times=30)
