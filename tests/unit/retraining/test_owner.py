"""Retraining as it runs: an owner on a bus in memory, with real trainings of a real labelled log."""

import pytest

from support.loop_world import LoopWorld

pytestmark = pytest.mark.slow


def test_command_becomes_a_candidate_that_carries_its_training_and_its_gate() -> None:
    """Through the service's own runner: rows of the log, a confined child, figures, gate, chunks, candidate."""
    world = LoopWorld()
    world.ask("c1")
    owner = world.trainer()
    world.run(owner)
    owner.close()
    started, finished = world.trainings()
    assert (started.phase, started.from_row, started.cut_row, started.end_row) == ("started", 0, 800, 1000)
    assert (finished.phase, finished.gate) == ("finished", "pass"), finished.reason
    assert finished.clauses == (f"accuracy {finished.metrics['candidate.accuracy']:.4g} must be at least 0.7: pass",)
    (candidate,) = world.candidates()
    lineage = candidate.manifest.lineage
    assert (lineage["training"], lineage["gate"], lineage["gate.1"]) == (finished.training, "pass", finished.clauses[0])
    assert (candidate.manifest.digest, started.code) == (finished.digest, finished.code)


def test_owner_that_died_before_it_told_the_end_is_followed_by_the_same_model() -> None:
    """It was published already: the successor does it again, and nothing is there twice."""
    world = LoopWorld()
    world.ask("c1")
    first = world.trainer()
    while not world.candidates():
        world.run(first, turns=1)
    before = world.trainings()
    second = world.trainer()
    world.run(second)
    second.close()
    assert [record.phase for record in before] == ["started"]
    assert [record.phase for record in world.trainings()] == ["started", "finished"]
    manifests = {candidate.manifest.digest for candidate in world.candidates()}
    assert manifests == {world.trainings()[1].digest}
