"""The join where one of its topics was made anew: offsets of the old one mean nothing, and the labelled log goes on."""

from collections.abc import Sequence

import pytest

from freshet.contracts.messages import Outcomes
from freshet.drift.service import JOIN
from freshet.operate.verify.drift.log_counts import LabelledLog
from freshet.outcomes.outcome_rows import OutcomeRows
from freshet.runtime.bus.memory.partition_log import At
from support.join_stage import NAMES, JoinStage
from support.join_world import rows_of

_OLD = [f"a-{number}" for number in range(30)]
_NEW = [f"b-{number}" for number in range(60)]


def told(stage: JoinStage, ids: Sequence[str]) -> None:
    """A label for each of them."""
    stage.world.tell([(name, 0, "bad") for name in ids])


def begun() -> JoinStage:
    """30 predictions, of which 20 have labels, and a label that waits."""
    stage = JoinStage(partitions=1)
    loop = stage.worker()
    stage.world.ask(_OLD)
    told(stage, [*_OLD[:20], "c-0"])
    stage.drain(loop)
    loop.close()
    assert stage.world.records()[-1].counts["matched"] == 20
    return stage


def made_anew(stage: JoinStage, *roles: str) -> None:
    """Somebody deletes these topics, and makes them anew."""
    for role in roles:
        stage.cluster.remake_topic(NAMES.topic(role))


def joined(stage: JoinStage, times: int = 1) -> Outcomes:
    """One worker after the other reads all there is; the last record of the log, which adds up."""
    for _ in range(times):
        loop = stage.worker()
        stage.drain(loop)
        stage.turn(loop, times=5)
        loop.close()
    log = LabelledLog(expired=False)
    for offset, record in enumerate(stage.world.records()):
        log.add(offset, record, OutcomeRows.of(record))
    assert [finding for finding in log.findings() if not finding.ok] == []
    return stage.world.records()[-1]


def lose_offsets(stage: JoinStage) -> None:
    """The group was idle for too long."""
    stage.cluster.group(NAMES.group(JOIN.name)).lose_offsets()


def pairs(stage: JoinStage, first_row: int) -> list[tuple[int, int]]:
    """Prediction and label of the rows from there on."""
    rows = [row for record in stage.world.records() for row in rows_of(record)]
    return sorted((row.prediction_offset, row.label_offset) for row in rows[first_row:])


@pytest.mark.parametrize("lost", [False, True])
def test_new_predictions_are_joined_from_their_beginning(lost: bool) -> None:
    """More of them than the old topic had: its position would leave out those before it."""
    stage = begun()
    made_anew(stage, "predictions")
    if lost:
        lose_offsets(stage)
    stage.world.ask(_NEW)
    told(stage, [*_NEW, "a-25"])
    last = joined(stage, times=2)
    assert last.inputs == {"predictions": 60, "labels": 82}
    assert last.input_topics["predictions"] == stage.bus.topic_id("predictions")
    assert pairs(stage, 20) == [(at, 21 + at) for at in range(60)]
    counts = last.counts
    assert (counts["predictions"], counts["matched"], counts["expired"]) == (90, 80, 10)
    assert (counts["unknown"], counts["waiting"]) == (1, 1)
    stage.cluster.advance(300_000)
    stage.world.ask(["d-0"])  # nothing that comes now was asked before what still waits
    counts = joined(stage).counts
    assert (counts["unknown"], counts["waiting"]) == (2, 0)


@pytest.mark.parametrize("lost", [False, True])
def test_new_labels_are_joined_from_their_beginning(lost: bool) -> None:
    """What was asked before has met old labels, which no state knows any more: it meets no new ones."""
    stage = begun()
    made_anew(stage, "labels")
    if lost:
        lose_offsets(stage)
    told(stage, [*_OLD, *_NEW])
    stage.world.ask(_NEW)
    last = joined(stage, times=2)
    assert last.inputs == {"predictions": 90, "labels": 90}
    assert pairs(stage, 20) == [(30 + at, 30 + at) for at in range(60)]
    counts = last.counts
    assert (counts["matched"], counts["expired"], counts["unknown"], counts["waiting"]) == (80, 10, 1, 30)


def test_both_topics_made_anew_go_on_in_the_same_log() -> None:
    """Its rows are numbered on, or whoever follows it would stop there."""
    stage = begun()
    made_anew(stage, "predictions", "labels")
    stage.world.ask(_NEW)
    told(stage, _NEW)
    last = joined(stage, times=2)
    assert last.inputs == {"predictions": 60, "labels": 60}
    assert pairs(stage, 20) == [(at, at) for at in range(60)]


def test_a_topic_made_anew_and_offsets_lost_again_and_again() -> None:
    """Each time what is kept of the state that began last is found, and no other."""
    stage = begun()
    made_anew(stage, "predictions")
    stage.world.ask(_NEW[:30])
    joined(stage)
    lose_offsets(stage)
    told(stage, _NEW[:20])
    last = joined(stage)
    assert pairs(stage, 20) == [(at, 21 + at) for at in range(20)]
    lose_offsets(stage)
    told(stage, _NEW[20:30])
    last = joined(stage)
    assert pairs(stage, 20) == [(at, 21 + at) for at in range(30)]
    assert (last.counts["matched"], last.counts["unknown"], last.counts["waiting"]) == (50, 1, 0)


def test_lost_offsets_and_lost_slabs_after_a_new_specification_are_refused() -> None:
    """The log says from which row on it holds; nothing says any more under what the rows before it were read."""
    stage = begun()
    stage.world.publish("{horizon: 1h, grace: 1m, wait: 2m}")
    stage.world.ask(_NEW[:5])
    joined(stage)
    made_anew(stage, "slabs/drift-join")
    lose_offsets(stage)
    loop = stage.worker()
    with pytest.raises(Exception, match=r"predictions/0 0 to 30, which were read under another plan"):
        stage.turn(loop, times=20)
    assert stage.cluster.group(NAMES.group(JOIN.name)).committed(At(NAMES.topic("labels"), 0)) is not None


def test_a_log_made_anew_is_gone_on_with() -> None:
    """Offsets are what they were: no row comes twice, and counts go on."""
    stage = begun()
    made_anew(stage, "outcomes")
    told(stage, _OLD[20:])
    loop = stage.worker()
    stage.drain(loop)
    last = stage.world.records()[-1]
    assert (last.first_row + last.rows, last.counts["matched"]) == (30, 30)
    assert pairs(stage, 0) == [(20 + at, 21 + at) for at in range(10)]
