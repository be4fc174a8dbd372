"""Retraining as it runs, in memory: owners of it beside a labelled log, with real trainings in their own processes."""

from typing import Final

from freshet.contracts.messages import Candidate, Command, Outcomes, PipelineRecord
from freshet.contracts.training_message import Training
from freshet.retraining import service
from freshet.runtime.owner_loop import OwnerLoop
from freshet.runtime.service import Context
from freshet.runtime.settings import load_settings
from support.labelled import Log, learnable, records_of, spec_text

PIPELINE: Final = "p"
RETRAINING: Final = "retraining: {trainer: {kind: logistic-regression}, gate: [{metric: accuracy, at_least: 0.7}]}"


class LoopWorld(Log):
    """A cluster with a pipeline and its labelled log, and owners of its retraining."""

    def __init__(self, *records: Outcomes, section: str = RETRAINING) -> None:
        """By default with 1,000 rows that a model can learn from."""
        super().__init__(*(records or records_of(learnable(1000))))
        self.apply(section)

    def apply(self, section: str, number: int = 1) -> None:
        """`freshet apply`."""
        spec = spec_text() + section
        applied = PipelineRecord(pipeline=PIPELINE, number=number, spec=spec, event_schema="{}", event_schema_id=1)
        self.tell("pipelines", f"{PIPELINE}/{number}", applied)

    def ask(self, command_id: str) -> None:
        """`freshet retrain`."""
        asked = Command(command_id=command_id, pipeline=PIPELINE, action="retrain", expires_at_ms=2**50, by="ann@host")
        self.tell("commands", PIPELINE, asked)

    def trainer(self) -> OwnerLoop:
        """The service's own decider and runner."""
        context = Context(self.bus.names, load_settings("none:1"), self.bus)
        return self.owner(service.SERVICE.decider(context), jobs=service.SERVICE.runner(context))

    def run(self, owner: OwnerLoop, turns: int = 12) -> None:
        """Let it turn once a second."""
        self.turn(owner, times=turns, step_ms=1_000)

    def trainings(self) -> list[Training]:
        """What stands on its topic."""
        return self.messages("trainings", Training)

    def candidates(self) -> list[Candidate]:
        """What was published for the registry."""
        return self.messages("candidates", Candidate)
