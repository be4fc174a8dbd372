"""Retraining as it runs: an owner on a bus in memory, with real trainings of a real labelled log."""

import pytest

from freshet.contracts.messages import Candidate, Command, PipelineRecord
from freshet.contracts.topics import TopicNames
from freshet.contracts.training_message import Training
from freshet.retraining import service
from freshet.runtime.owner_loop import OwnerLoop
from freshet.runtime.service import Context
from freshet.runtime.settings import load_settings
from support.labelled import Log, learnable, records_of, spec_text

pytestmark = pytest.mark.slow
NAMES = TopicNames("", "")
RETRAINING = "retraining: {trainer: {kind: logistic-regression}, gate: [{metric: accuracy, at_least: 0.7}]}"


class World(Log):
    """A pipeline with its labelled log, and owners of its retraining."""

    def __init__(self) -> None:
        super().__init__(*records_of(learnable(1000)))
        spec = spec_text() + RETRAINING
        applied = PipelineRecord(pipeline="p", number=1, spec=spec, event_schema="{}", event_schema_id=1)
        self.tell("pipelines", "p/1", applied)
        self.tell(
            "commands",
            "p",
            Command(command_id="c1", pipeline="p", action="retrain", expires_at_ms=2**50, by="ann@host"),
        )

    def trainer(self) -> OwnerLoop:
        """The service's own decider and runner."""
        context = Context(self.bus.names, load_settings("none:1"), self.bus)
        return self.owner(service.SERVICE.decider(context), jobs=service.SERVICE.runner(context))

    def trainings(self) -> list[Training]:
        """What stands on its topic."""
        return self.messages("trainings", Training)

    def candidates(self) -> list[Candidate]:
        """What was published for the registry."""
        return self.messages("candidates", Candidate)


def test_command_becomes_a_candidate_that_carries_its_training_and_its_gate() -> None:
    """Through the service's own runner: rows of the log, a confined child, figures, gate, chunks, candidate."""
    world = World()
    owner = world.trainer()
    world.turn(owner, step_ms=1_000)
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
    world = World()
    first = world.trainer()
    while not world.candidates():
        world.turn(first, times=1, step_ms=1_000)
    before = world.trainings()
    second = world.trainer()
    world.turn(second, step_ms=1_000)
    second.close()
    assert [record.phase for record in before] == ["started"]
    assert [record.phase for record in world.trainings()] == ["started", "finished"]
    manifests = {candidate.manifest.digest for candidate in world.candidates()}
    assert manifests == {world.trainings()[1].digest}
