"""What MLflow is to hold of a pipeline: each training once, each packed version once, quality over time."""

import posixpath
from collections.abc import Sequence

from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.messages import Change, ModelVersion
from freshet.operate.mlflow_runs import RunRecord, run_records
from freshet.operate.training_runs import runs_of
from freshet.quality.counts import Counts
from freshet.training.trainer import TrainingError
from support.registry import PIPELINE, candidate
from support.retraining import World


def evaluation(end_row: int, right: int, series: str = "version:1.0.0") -> Evaluation:
    """So many right answers of ten."""
    counts = Counts.none(2)
    counts.confusion[:] = [[right, 0], [0, 10 - right]] if right == 10 else [[right, 10 - right], [0, 0]]
    return Evaluation(
        pipeline=PIPELINE,
        series=series,
        view="arrival",
        first_row=end_row - 10,
        end_row=end_row,
        through=0,
        start_ms=0,
        end_ms=1000 * end_row,
        predictions=0,
        rows=10,
        classes=("no", "yes"),
        confusion=counts.confusion.astype("<i8").tobytes(),
        score_bins=counts.score_bins.astype("<i8").tobytes(),
        log_loss_sum=0,
        absolute_sum=0,
        squared_sum=0,
        truth_sum=0,
        truth_squared_sum=0,
        versions={},
        epochs=(),
    )


def records(evaluations: Sequence[Evaluation] = ()) -> list[RunRecord]:
    """One training that finished, one that failed, one occasion that led to none, and a version that was packed."""
    world = World(rows=5000)
    world.apply("seed: 1")
    world.serve()
    world.results = [{"candidate.accuracy": 0.7}, TrainingError("all rows are of one class.")]
    for name in ("c1", "c2"):
        world.ask(name)
        world.settle()
        world.rows += 1000
    world.ask("c3", text="dry run")
    world.settle()
    packed = ModelVersion(
        pipeline=PIPELINE,
        version="1.0.0",
        state="admitted",
        reason="good",
        manifest=candidate("packed", lineage={"training_set": "may"}).manifest,
        history=(Change(at_ms=5, what="admitted"),),
    )
    return run_records("t.p", runs_of(world.log, PIPELINE), [packed], evaluations)


def test_each_training_and_each_packed_version_is_a_run() -> None:
    """With status, parameters and figures; an occasion that led to no training is none."""
    packed, *trained = sorted(records(), key=lambda record: record.id)
    assert sorted(record.status for record in trained) == ["FAILED", "FINISHED"]
    finished = next(record for record in trained if record.status == "FINISHED")
    assert ("candidate.accuracy", 0.7) in [(point.name, point.value) for point in finished.metrics]
    assert finished.params["trainer"]
    assert finished.tags["freshet.trigger"] == "command"
    assert (packed.name, packed.start_ms, packed.tags["lineage.training_set"]) == ("1.0.0 packed", 5, "may")
    assert len({record.id for record in (packed, *trained)}) == 3


def test_the_content_changes_with_what_is_known_and_with_nothing_else() -> None:
    """The same facts give the same content; an evaluation more is a point more, of its version alone."""
    before, again = ({record.id: record.content for record in records()} for _ in range(2))
    assert before == again
    later = records([evaluation(10, 9), evaluation(20, 10), evaluation(20, 1, "served")])
    changed = [record for record in later if record.content != before[record.id]]
    assert [record.name for record in changed] == ["1.0.0 packed"]
    points = [(point.value, point.step) for point in changed[0].metrics if point.name == "served.accuracy"]
    assert points == [(0.9, 10), (1.0, 20)]


def test_names_that_people_choose_are_names_that_mlflow_takes() -> None:
    """MLflow refuses names that are odd as paths, or long. Two names never become one."""
    lineage = {"data//may": "1", "data/": "2", "size#": "3", "size:": "4", "/root": "5", "..": "6", "k" * 300: "7"}
    packed = ModelVersion(
        pipeline=PIPELINE,
        version="1.0.0",
        state="admitted",
        reason="good",
        manifest=candidate("packed", lineage=lineage).manifest,
        history=(Change(at_ms=5, what="admitted"),),
    )
    (record,) = run_records(PIPELINE, [], [packed], [])
    names = [name for name in record.tags if name.startswith("lineage.")]
    assert len(names) == len(lineage)
    assert [name for name in names if posixpath.normpath(name) != name or len(name) > 250] == []
