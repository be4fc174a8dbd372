"""The interleavings that break a naive join, one by one, on the bus in memory. The others are in `test_join`."""

from collections import Counter

import pytest

from freshet.drift.service import JOIN
from freshet.runtime.bus.memory import SimulatedCrash, Step
from support.join_stage import JoinStage
from support.join_world import rows_of

_HOUR_MS = 3_600_000
_DAYS = "{horizon: 2d, grace: 1d, wait: 1d}"
_IDS = [f"a-{number}" for number in range(20)]


def counts(stage: JoinStage) -> Counter[str]:
    """Of the one partition; the log is what follows from its inputs."""
    return stage.world.check()


def weighed(stage: JoinStage) -> list[tuple[int, int, float, int]]:
    """Prediction, weight, class and revision of each row, in the order of the log."""
    rows = [row for record in stage.world.records() for row in rows_of(record)]
    return [(row.prediction_offset, row.weight, row.value, row.revision) for row in rows]


@pytest.mark.parametrize("labels_first", [True, False])
def test_j2_who_is_late_does_not_depend_on_what_was_read_first(labels_first: bool) -> None:
    """Both times are the broker's. A log that is read days behind the other one joins as it would have at once."""
    stage = JoinStage(_DAYS, partitions=1)
    stage.world.ask(_IDS)
    stage.cluster.advance(47 * _HOUR_MS)
    stage.world.tell([(name, 0, "bad") for name in _IDS[:10]])  # in time by an hour
    stage.cluster.advance(2 * _HOUR_MS)
    stage.world.tell([(name, 0, "bad") for name in _IDS[10:15]])  # too late by an hour
    stage.cluster.advance(48 * _HOUR_MS)
    stage.world.tell([(name, 0, "bad") for name in _IDS[15:]])  # of nobody any more
    stage.world.ask(["b-1"])
    loop = stage.worker()
    first = "labels" if labels_first else "predictions"
    logic = stage.logic(loop)
    held, waits = True, logic.waits
    logic.waits = lambda role, partition: (  # type: ignore[method-assign]
        "read later" if held and role != first else waits(role, partition)
    )
    stage.turn(loop, times=30)
    other = "predictions" if labels_first else "labels"
    assert stage.left(first) == 0
    assert stage.left(other) > 0
    held = False
    stage.drain(loop)
    stage.cluster.advance(48 * _HOUR_MS)
    stage.world.ask(["b-2"])
    stage.drain(loop)
    found = counts(stage)
    assert (found["matched"], found["late"], found["unknown"]) == (10, 5, 5)


def test_j5_a_correction_finds_what_was_matched_before() -> None:
    """Also after a restart: the old class is taken back with what it weighed."""
    stage = JoinStage(partitions=1)
    stage.world.ask(_IDS)
    stage.world.tell([("a-1", 0, "bad")])
    loop = stage.worker()
    stage.drain(loop)
    loop.close()
    stage.world.tell([("a-1", 1, "ok")])
    stage.drain(stage.worker())
    assert weighed(stage) == [(1, 1, 1.0, 0), (1, -1, 1.0, 0), (1, 1, 0.0, 1)]
    assert counts(stage)["revised"] == 1


@pytest.mark.parametrize("rows", [1, 50])
def test_j6_of_two_revisions_the_higher_one_counts_in_either_order(rows: int) -> None:
    """A lower one that comes later says nothing, and of two alike the first in the log counts."""
    stage = JoinStage(partitions=1, rows=rows)
    stage.world.ask(_IDS)
    stage.world.tell([("a-1", 1, "bad"), ("a-1", 0, "ok"), ("a-2", 0, "ok"), ("a-2", 0, "bad"), ("a-2", 1, "bad")])
    stage.drain(stage.worker())
    assert weighed(stage) == [(1, 1, 1.0, 1), (2, 1, 0.0, 0), (2, -1, 0.0, 0), (2, 1, 1.0, 1)]
    found = counts(stage)
    assert (found["matched"], found["revised"], found["superseded"]) == (2, 1, 2)


@pytest.mark.parametrize("rows", [1, 50])
def test_j7_of_two_predictions_of_an_id_the_first_one_gets_the_label(rows: int) -> None:
    """A redriven event: the second one is a duplicate for ever, whichever side of a restart it is on."""
    stage = JoinStage(partitions=1, rows=rows)
    stage.world.ask(["a-1", "a-2"])
    loop = stage.worker()
    stage.drain(loop)
    loop.close()
    stage.world.ask(["a-1", "a-1"])
    stage.world.tell([("a-1", 0, "bad"), ("a-2", 0, "ok")])
    stage.drain(stage.worker())
    assert [row[0] for row in weighed(stage)] == [0, 1]
    assert counts(stage)["duplicate_event"] == 2


def test_j8_a_label_that_was_there_before_the_answer_is_marked() -> None:
    """It waits for the prediction, also over a restart; whoever measures leaves the row out."""
    stage = JoinStage(partitions=1)
    stage.world.tell([("a-1", 0, "bad")])
    loop = stage.worker()
    stage.drain(loop)
    loop.close()
    stage.cluster.advance(60_000)
    stage.world.ask(_IDS)
    stage.drain(stage.worker())
    found = counts(stage)
    assert (found["matched"], found["known_before"]) == (1, 1)


def test_j10_a_label_of_another_entity_lies_on_another_partition_and_is_unknown() -> None:
    """It is counted there, once no prediction can come any more."""
    stage = JoinStage(partitions=2)
    stage.world.ask(["a-1"], 0)
    stage.world.tell([("a-1", 0, "bad")], 1)
    loop = stage.worker()
    stage.drain(loop)
    stage.cluster.advance(200_000)
    stage.world.ask(["b-1"], 1)
    stage.drain(loop)
    found = counts(stage)
    assert (found["matched"], found["unknown"]) == (0, 1)


def test_j12_a_dead_workers_open_transaction_hides_the_others_for_a_while() -> None:
    """All write to the one partition of the log; once its successor has ended it, nothing of theirs is missing."""
    stage = JoinStage(partitions=2)
    for partition in (0, 1):
        stage.world.ask(_IDS, partition)
    dying, other = stage.worker("a"), stage.worker("b")
    stage.turn(dying, other, times=20)
    for partition in (0, 1):
        stage.world.tell([(name, 0, "bad") for name in _IDS], partition)
    seen = len(stage.world.records())

    def crash(step: Step, _transactional_id: str) -> None:
        if step == "produced":
            raise SimulatedCrash

    stage.cluster.failpoint = crash
    with pytest.raises(SimulatedCrash):
        stage.turn(dying)
    stage.cluster.failpoint = None
    stage.turn(other, times=4)
    assert len(stage.world.records()) == seen
    stage.drain(other, stage.worker("a"))
    assert counts(stage)["matched"] == 40
    assert JOIN.transaction_timeout_ms == 5_000, "nor longer, if no successor comes"


def test_two_days_of_labels_at_once() -> None:
    """Nothing was labelled for as long, then all of it in a moment, while workers die: the same rows as one by one."""
    stage = JoinStage("{horizon: 7d, grace: 1d, wait: 1d}", partitions=1, rows=100)
    loop = stage.worker()
    names = [f"a-{number}" for number in range(960)]
    for hour in range(48):
        stage.world.ask(names[20 * hour : 20 * hour + 20])
        stage.cluster.advance(_HOUR_MS)
        stage.turn(loop, times=2)
    loop.close()
    stage.world.tell([(name, 0, "bad") for name in reversed(names)])
    for at_commit in (1, 2, 3):
        left = at_commit

        def crash(step: Step, _transactional_id: str) -> None:
            nonlocal left
            left -= step == "offsets_sent"
            if not left:
                raise SimulatedCrash

        stage.cluster.failpoint = crash
        with pytest.raises(SimulatedCrash):
            stage.turn(stage.worker(), times=60)
        stage.cluster.failpoint = None
    stage.drain(stage.worker())
    assert counts(stage)["matched"] == 960
