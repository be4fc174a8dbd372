"""The join on the memory bus: what it writes follows from predictions and labels, whatever happens to its workers."""

import numpy as np

from freshet.drift.core.join.told import Told
from freshet.drift.service import JOIN
from freshet.outcomes.outcome_rows import ABSENT, FIRST, NO_VALUES, OutcomeRows
from freshet.runtime.bus.protocol import Committed, Place
from freshet.runtime.recovery import Recovery
from support.join_stage import NAMES, JoinStage
from support.join_world import REGRESSION, rows_of


def some(stage: JoinStage, first: int, count: int = 30, partition: int = 0) -> list[str]:
    """Predictions, most of which get a label, and some a correction."""
    ids = [f"a-{number}" for number in range(first, first + count)]
    stage.world.ask(ids, partition)
    stage.cluster.advance(20_000)
    stage.world.tell([(name, 0, "bad") for name in ids[::2]] + [(ids[0], 1, "ok"), (f"b-{first}", 0, "ok")], partition)
    return ids


def test_labels_meet_their_predictions() -> None:
    """Rows with values, counts, minutes; some labels come before, some of nobody."""
    stage = JoinStage()
    loop = stage.worker()
    stage.world.tell([("a-3", 0, "ok"), ("a-500", 0, "ok")])
    for partition in (0, 1):
        some(stage, 0, partition=partition)
    stage.drain(loop)
    counts = stage.world.check()
    assert (counts["matched"], counts["revised"], counts["known_before"]) == (31, 2, 1)


def test_j3_predictions_leave_memory_though_no_label_ever_comes() -> None:
    """Labels were read to their end: none that is still to come can be in time for what was asked long before."""
    stage = JoinStage("{horizon: 5m, grace: 1m, wait: 1m}", partitions=1)
    loop = stage.worker()
    for first in range(0, 3000, 100):
        stage.world.ask([f"a-{number}" for number in range(first, first + 100)])
        stage.drain(loop)
        stage.turn(loop, times=5, step_ms=6000)
    counts = stage.world.records()[-1].counts
    assert counts["expired"] > 1500
    assert counts["open"] < 1500
    assert len(stage.state(loop).rows) < 2500


def test_j3_silence_is_an_absent_label_too_once() -> None:
    """Also where a worker dies in between, and the next one finds the same predictions without a label."""
    stage = JoinStage("{horizon: 5m, grace: 1m, wait: 1m, absent_after: 2m, means: ok}", partitions=1)
    for first in range(0, 2000, 100):
        loop = stage.worker()
        stage.world.ask([f"a-{number}" for number in range(first, first + 100)])
        stage.drain(loop)
        stage.turn(loop, times=5, step_ms=6000)
        loop.close()
    rows = [row for record in stage.world.records() for row in rows_of(record)]
    assert len(rows) > 1000
    assert len({row.prediction_offset for row in rows}) == len(rows)
    assert {(row.weight, row.value, row.flags) for row in rows} == {(1, 0.0, FIRST | ABSENT)}
    stage.cluster.advance(200_000)
    stage.world.tell([("a-3", 0, "bad")])
    stage.drain(stage.worker())
    rows = [row for record in stage.world.records() for row in rows_of(record)]
    assert len({row.prediction_offset for row in rows}) == len(rows) == 2000


def test_j4_labels_of_nobody_are_held_at_their_cap_and_go_on_with_predictions() -> None:
    """They are never thrown away early: once their predictions come, they meet them."""
    stage = JoinStage("{horizon: 1h, grace: 1m, wait: 1h}", partitions=1, most_bytes=200_000)
    loop = stage.worker()
    names = [f"a-{number}" for number in range(1000)]
    stage.world.tell([(name, 0, "ok") for name in names])
    stage.turn(loop, times=100)
    assert stage.left("labels") > 0
    assert "labels that wait for their predictions" in (loop.unready() or "")
    stage.world.ask(names)
    stage.drain(loop)
    assert stage.world.check()["matched"] == 1000
    assert loop.unready() is None


def test_more_predictions_than_memory_are_held_with_a_reason() -> None:
    """And read on once labels let some go."""
    stage = JoinStage("{horizon: 1m, grace: 1s, wait: 1s}", partitions=1, most_bytes=50_000)
    loop = stage.worker()
    stage.world.ask([f"a-{number}" for number in range(2000)])
    stage.turn(loop, times=40)
    assert stage.left("predictions") > 0
    assert "open predictions take" in (loop.unready() or "")
    stage.cluster.advance(100_000)
    stage.world.ask(["a-5000"])
    stage.world.tell([("b-0", 0, "ok")])
    stage.turn(loop, times=100)
    assert stage.left("predictions") < 2000


def test_values_that_have_expired_are_missing_and_said_to_be() -> None:
    """Rows without features are told from those with, also within one batch."""
    stage = JoinStage(partitions=1)
    names = [f"a-{number}" for number in range(300)]
    stage.world.ask(names)
    stage.cluster.truncate(NAMES.topic("features"), 0, 200)
    stage.world.tell([(name, 0, "ok") for name in names])
    stage.drain(stage.worker())
    stage.world.check()
    rows = [OutcomeRows.of(record) for record in stage.world.records()]
    features = np.concatenate([part.features_offset for part in rows])
    values = np.concatenate([part.values[:, 0] for part in rows])
    missing = np.concatenate([part.flags & NO_VALUES for part in rows]) != 0
    assert (missing == (features < 200)).all()
    assert (values[~missing] == features[~missing]).all()
    assert np.isnan(values[missing]).all()


def test_lost_offsets_are_found_again_in_the_labelled_log() -> None:
    """S12: nothing is joined twice, and counts go on from where they were; also with no slab left."""
    stage = JoinStage(partitions=2)
    for partition in (0, 1):
        some(stage, 0, partition=partition)
    loop = stage.worker()
    stage.drain(loop)
    loop.close()
    for first in (100, 200):
        stage.group.forget(NAMES.topic("predictions"))
        stage.group.forget(NAMES.topic("labels"))
        stage.cluster.remake_topic(NAMES.topic("slabs/drift-join"))
        loop = stage.worker()
        stage.world.tell([("a-1", 3, "ok"), ("a-2", 3, "ok")])
        for partition in (0, 1):
            some(stage, first, partition=partition)
        stage.drain(loop)
        loop.close()
        stage.world.check()


def test_a_new_specification_holds_for_what_is_read_from_then_on() -> None:
    """A worker that restores rows of both judges each by its own: no pair is taken back that never was."""
    stage = JoinStage("{horizon: 1m, grace: 5m, wait: 1m}", partitions=1)
    loop = stage.worker()
    stage.world.ask(["a-1", "a-2"])
    stage.drain(loop)
    stage.cluster.advance(120_000)
    stage.world.tell([("a-1", 0, "ok"), ("a-2", 0, "ok")])
    stage.drain(loop)
    stage.world.publish("{horizon: 1h, grace: 5m, wait: 1m}")
    stage.turn(loop)
    stage.world.ask(["a-3"])
    stage.world.tell([("a-1", 1, "bad"), ("a-3", 0, "ok")])
    stage.drain(loop)
    loop.close()
    again = stage.worker()
    stage.world.tell([("a-2", 1, "bad"), ("a-1", 2, "ok")])
    stage.drain(again)
    rows = [row for record in stage.world.records() for row in rows_of(record)]
    told = [(row.prediction_offset, row.weight, row.revision) for row in rows]
    assert told == [(0, 1, 1), (2, 1, 0), (0, -1, 1), (0, 1, 2), (1, 1, 1)]
    assert stage.world.records()[-1].counts["late"] == 2


def test_a_regressions_truth_is_a_number() -> None:
    """With one score a row, no class, and absent labels that mean a number."""
    label = "{horizon: 5m, grace: 1m, wait: 1m, absent_after: 2m, means: '0.5'}"
    stage = JoinStage(label, partitions=1, target=REGRESSION)
    stage.world.ask(["a-1", "a-2", "a-3"])
    stage.world.tell([("a-1", 0, "3.25")])
    stage.cluster.advance(150_000)
    stage.world.tell([("a-2", 0, "-1e3"), ("a-1", 1, "4")])
    stage.drain(stage.worker())
    counts = stage.world.check()
    assert (counts["matched"], counts["revised"], counts["absent"]) == (1, 2, 2)
    rows = [OutcomeRows.of(record) for record in stage.world.records() if record.rows]
    assert {float(truth) for part in rows for truth in part.truth} == {3.25, 4.0, 0.5, -1000.0}
    assert {(part.scores.shape[1], *part.label, *part.answer) for part in rows} <= {(1, *[-1] * n) for n in range(20)}


def test_a_partition_without_its_partner_is_not_joined() -> None:
    """Somebody made labels anew with fewer partitions: what could never meet is not read, and `/ready` says so."""
    stage = JoinStage(partitions=2)
    stage.cluster.delete_topic(NAMES.topic("labels"))
    stage.cluster.create_topic(NAMES.topic("labels"), 1)
    for partition in (0, 1):
        stage.world.ask(["a-1"], partition)
    stage.world.tell([("a-1", 0, "ok")])
    loop = stage.worker()
    stage.turn(loop, times=30)
    assert stage.left("predictions", 1) > 0
    assert stage.left("predictions") == 0
    assert "labels has only 1 partition" in (loop.unready() or "")


def test_the_labelled_log_tells_the_counts_of_lost_offsets() -> None:
    """They count rows that may have expired since, so that no reading of the inputs gives them back."""
    stage = JoinStage(partitions=2)
    some(stage, 0, partition=1)
    stage.drain(stage.worker())
    places = [Place(role, 1) for role in ("predictions", "labels")]
    ids = {role: stage.bus.topic_id(role) for role in ("predictions", "labels")}
    search = Recovery(stage.bus, JOIN.clues, "p", places, ids)
    while not search.step():
        pass
    (last,) = [record for record in stage.world.records() if record.inputs == {"predictions": 30, "labels": 17}]
    told = Told.in_record(last).text
    assert [search.found(place) for place in places] == [Committed(30, told), Committed(17, told)]
    assert Told.parse(told).first_row == 17
