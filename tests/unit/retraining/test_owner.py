"""Retraining as it runs: an owner on a bus in memory, with real trainings of a real labelled log."""

import pytest

from freshet.avro.control import decode, encode
from freshet.contracts.messages import Candidate, Command, PipelineRecord
from freshet.contracts.topics import TopicNames
from freshet.contracts.training_message import Training
from freshet.retraining import service
from freshet.runtime.bus.memory import MemoryBus
from freshet.runtime.bus.protocol import Send
from freshet.runtime.clock import ManualClock
from freshet.runtime.jobs import InlineJobs
from freshet.runtime.owner_loop import OwnerLoop
from freshet.runtime.reading import everything
from freshet.runtime.service import Context
from freshet.runtime.settings import load_settings
from freshet.runtime.telemetry import Metrics
from support.labelled import Log, learnable, records_of, spec_text

pytestmark = pytest.mark.slow
NAMES = TopicNames("", "")
RETRAINING = "retraining: {trainer: {kind: logistic-regression}, gate: [{metric: accuracy, at_least: 0.7}]}"


class World:
    """A cluster with a pipeline and its labelled log, and owners on it."""

    def __init__(self) -> None:
        self.log = Log(*records_of(learnable(1000)))
        self.bus = MemoryBus(self.log.cluster, NAMES)
        self.clock = ManualClock()
        spec = spec_text() + RETRAINING
        applied = PipelineRecord(pipeline="p", number=1, spec=spec, event_schema="{}", event_schema_id=1)
        self.bus.producer().send(Send("pipelines", [b"p/1"], [encode(applied)]))

    def ask(self, command_id: str) -> None:
        """`freshet retrain`."""
        asked = Command(command_id=command_id, pipeline="p", action="retrain", expires_at_ms=2**50, by="ann@host")
        self.bus.producer().send(Send("commands", [b"p"], [encode(asked)]))

    def owner(self) -> OwnerLoop:
        """The service's own decider and runner."""
        context = Context(NAMES, load_settings("none:1"), self.bus)
        return OwnerLoop(
            service.SERVICE.decider(context),
            self.bus,
            NAMES,
            service="retraining",
            jobs=InlineJobs(service.SERVICE.runner(context)),
            clock=self.clock,
            metrics=Metrics(),
        )

    def run(self, owner: OwnerLoop, turns: int = 12) -> None:
        """Let it turn."""
        for _ in range(turns):
            owner.step(0.0)
            self.clock.sleep(1.0)

    def trainings(self) -> list[Training]:
        """What stands on its topic."""
        return [message for message in self._read("trainings") if isinstance(message, Training)]

    def candidates(self) -> list[Candidate]:
        """What was published for the registry."""
        return [message for message in self._read("candidates") if isinstance(message, Candidate)]

    def _read(self, role: str) -> list[object]:
        values = [value for batch in everything(self.bus, role) for value in batch.values]
        return [decode(role, value) for value in values if value is not None]


def test_command_becomes_a_candidate_that_carries_its_training_and_its_gate() -> None:
    """Through the service's own runner: rows of the log, a confined child, figures, gate, chunks, candidate."""
    world = World()
    world.ask("c1")
    owner = world.owner()
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
    world = World()
    world.ask("c1")
    first = world.owner()
    for _ in range(12):
        first.step(0.0)
        if len(world.candidates()) == 1:
            break
        world.clock.sleep(1.0)
    before = world.trainings()
    second = world.owner()
    world.run(second)
    second.close()
    assert [record.phase for record in before] == ["started"]
    assert [record.phase for record in world.trainings()] == ["started", "finished"]
    manifests = {candidate.manifest.digest for candidate in world.candidates()}
    assert manifests == {world.trainings()[1].digest}
