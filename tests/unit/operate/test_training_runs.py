"""What an operator is told of trainings: what came of each, and in what two of them differ."""

from dataclasses import replace
from typing import Literal

import pytest

from freshet.contracts.messages import Decision, ModelVersion
from freshet.operate.operate_error import OperateError
from freshet.operate.training_comparison import compare, figure_names, table_rows
from freshet.operate.training_runs import Run, find, runs_of
from freshet.training.trainer import TrainingError
from support.registry import PIPELINE, candidate
from support.retraining import World


@pytest.fixture
def world() -> World:
    """Two trainings, of which one came to a version, one that failed, and an occasion that led to none."""
    made = World(rows=5000)
    made.apply("seed: 1")
    made.serve()
    made.ask("c1")
    made.settle()
    first = made.records()[-1].training
    manifest = candidate("trained", lineage={"training": first}).manifest
    version = ModelVersion(pipeline=PIPELINE, version="1.1.0", state="admitted", reason="good", manifest=manifest)
    made.tell("models", f"{PIPELINE}/1.1.0", version)
    made.apply("seed: 2", number=2)
    made.rows = 6000
    made.results = [{"candidate.accuracy": 0.7}, TrainingError("all rows are of one class.")]
    for name in ("c2", "c3"):
        made.ask(name)
        made.settle()
        made.rows += 1000
    made.ask("c4", text="dry run")
    made.settle()
    return made


def told(world: World) -> list[Run]:
    """What the topics tell."""
    return runs_of(world.log, PIPELINE)


def test_each_training_is_told_once_with_what_came_of_it(world: World) -> None:
    """The newest record of each, in the order in which they began, and the version that it led to."""
    assert [run.outcome.partition(":")[0] for run in told(world)] == [
        "1.1.0, admitted",
        "a candidate, on which the registry has not decided",
        "failed",
        "skipped",
    ]
    assert "all rows are of one class." in told(world)[2].outcome


@pytest.mark.parametrize(("gate", "why"), [("fail", "its gate failed"), ("none", "its gate does not speak for it")])
def test_a_version_that_its_gate_holds_back_says_so_at_once(
    world: World, gate: Literal["fail", "none"], why: str
) -> None:
    """`1.1.0, admitted` alone reads as if it had been rolled out."""
    first = told(world)[0].last
    inputs = {"cause": "policy gated", "training": first.training, "compared with": "1.0.0", "serving": "1.0.0"}
    said = Decision(
        pipeline=PIPELINE, about="rollout", subject="1.1.0", verdict="refused", reason="gate: …", inputs=inputs
    )
    world.tell("trainings", PIPELINE, first.model_copy(update={"gate": gate}))
    world.tell("decisions", PIPELINE, said)
    assert told(world)[0].outcome == f"1.1.0, admitted, but not rolled out by itself: {why}"


def test_training_is_found_by_the_beginning_of_its_id_or_by_its_version(world: World) -> None:
    """What no training is called is an error that says where to look."""
    runs = told(world)
    assert find(runs, runs[1].last.training[:8]) == runs[1]
    assert find(runs, "1.1.0") == runs[0]
    with pytest.raises(OperateError, match="freshet trainings list"):
        find(runs, "no such")
    with pytest.raises(OperateError):
        find(runs, "")


def test_comparison_tells_what_differs_and_all_figures(world: World) -> None:
    """What is the same in both is left out; a figure that one of them lacks is empty."""
    one, other, *_ = told(world)
    found = {line.what: (line.one, line.other) for line in compare(one, other)}
    assert found["seed"] == ("1", "2")
    assert found["candidate.accuracy"] == ("0.9", "0.7")
    assert found["champion.accuracy"] == ("0.8", "")
    assert "trainer" not in found


@pytest.mark.parametrize(("low", "high", "said"), [(0.75, 0.95, "overlap"), (0.85, 0.95, "apart")])
def test_figures_are_compared_with_their_intervals(low: float, high: float, said: str, world: World) -> None:
    """In one line each; whether the intervals are apart is said."""
    one, other, *_ = told(world)
    bounds = ({"candidate.accuracy.low": low, "candidate.accuracy.high": high}, {"candidate.accuracy.low": 0.6})
    bounds[1]["candidate.accuracy.high"] = 0.8
    pair = [
        replace(run, last=run.last.model_copy(update={"metrics": run.last.metrics | more}))
        for run, more in zip((one, other), bounds, strict=True)
    ]
    found = {line.what: line for line in compare(*pair)}
    assert found["candidate.accuracy"].one == f"0.9 ({low} to {high})"
    assert found["candidate.accuracy"].intervals == said
    assert found["champion.accuracy"].intervals == ""
    assert "candidate.accuracy.low" not in found
    assert figure_names(pair[0].last.metrics) == ["candidate.accuracy", "champion.accuracy"]


def test_table_has_a_flat_row_for_every_run(world: World) -> None:
    """Also for those without a model; parameters, metrics and classes stand behind dots."""
    rows = table_rows(told(world))
    assert [row["phase"] for row in rows] == ["finished", "finished", "failed", "skipped"]
    assert (rows[0]["version"], rows[0]["metrics.candidate.accuracy"], rows[0]["trainer.iterations"]) == (
        "1.1.0",
        0.9,
        "100",
    )
    assert not any(isinstance(value, dict | list) for row in rows for value in row.values())
