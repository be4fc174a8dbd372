"""What the control topics say of all pipelines: the ledger, and beside it what only a screen wants to know."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from freshet.console.core.quality_course import QualityCourse
from freshet.contracts.errors import ContractError
from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.logic import Fact
from freshet.contracts.messages import Alarm, Command, Decision, ModelVersion, PipelineRecord
from freshet.contracts.training_message import Training
from freshet.ledger.ledger import Ledger, PipelineLedger, pipeline_of
from freshet.pipeline.spec import PipelineSpec

WHOLE: Final = ("pipelines", "models", "rollouts", "cutovers", "workers")
"""Compacted topics, which are read from their beginning: they hold what is in force."""
RECENT: Final = ("decisions", "commands", "evaluations", "alarms", "trainings")
"""Topics that grow, of which only the end is read."""

_MOST_ALARMS: Final = 500
_MOST_FACTS: Final = 2000


@dataclass(slots=True)
class PipelineFacts:
    """What is known of one pipeline, beside its ledger."""

    spec: PipelineSpec | None = None
    """The newest specification that can be read here."""
    spec_number: int = 0
    event_schemas: set[str] = field(default_factory=set)
    """All that were published: an old event is decoded with its own."""
    quality: QualityCourse = field(default_factory=QualityCourse)
    alarms: deque[Alarm] = field(default_factory=lambda: deque(maxlen=_MOST_ALARMS))
    trainings: deque[Fact] = field(default_factory=lambda: deque(maxlen=_MOST_FACTS))
    decisions: deque[Fact] = field(default_factory=lambda: deque(maxlen=_MOST_FACTS))
    retrain_commands: deque[Fact] = field(default_factory=lambda: deque(maxlen=_MOST_FACTS))
    """Commands that retraining answers, by a training; the ledger has all others."""
    models: dict[str, Fact] = field(default_factory=dict)
    """The newest record of each version and each refused candidate."""


class Folded:
    """All facts so far. Not thread-safe: one thread folds, and makes pages of it."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self._facts: dict[str, PipelineFacts] = {}

    def fold(self, fact: Fact) -> None:
        """Take in one control record of any role."""
        self.ledger.fold(fact)
        if fact.message is None:
            if fact.role == "pipelines" and self.of(pipeline_of(fact)).deleted:
                self._facts.pop(pipeline_of(fact), None)
            return
        facts = self.facts(pipeline_of(fact))
        match fact.message:
            case PipelineRecord() as record:
                _specify(facts, record)
            case ModelVersion():
                facts.models[fact.key] = fact
            case Alarm() as alarm:
                facts.alarms.append(alarm)
            case Training():
                facts.trainings.append(fact)
            case Decision():
                facts.decisions.append(fact)
            case Evaluation() as evaluation:
                facts.quality.fold(evaluation)
            case Command(action="retrain"):
                facts.retrain_commands.append(fact)

    def of(self, pipeline: str) -> PipelineLedger:
        """The ledger of a pipeline."""
        return self.ledger.of(pipeline)

    def facts(self, pipeline: str) -> PipelineFacts:
        """What is known beside it."""
        return self._facts.setdefault(pipeline, PipelineFacts())

    def pipelines(self) -> list[str]:
        """Those that are applied, by name."""
        return [one.name for one in self.ledger if one.specification is not None]


def _specify(facts: PipelineFacts, record: PipelineRecord) -> None:
    facts.event_schemas.add(record.event_schema)
    if record.number < facts.spec_number:
        return
    try:
        facts.spec = PipelineSpec.parse(record.spec)
    except ContractError:  # a newer Freshet wrote it: what can be read of the rest is shown all the same
        facts.spec = None
    facts.spec_number = record.number
