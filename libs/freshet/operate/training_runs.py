"""What became of every occasion to train: the trainings of a pipeline, with the versions that came of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from freshet.contracts.logic import Fact
from freshet.contracts.messages import Decision, ModelVersion
from freshet.contracts.training_message import Training
from freshet.operate.facts import read
from freshet.operate.notes import Note, notes_on, notes_on_trainings
from freshet.operate.operate_error import OperateError
from freshet.runtime.bus.protocol import Bus

TRAINING: Final = "training"
"""What a model's lineage calls the training that it came of."""


@dataclass(frozen=True, slots=True)
class Run:
    """A training, or an occasion that led to none."""

    last: Training
    """The newest record."""
    began_ms: int
    """When the first one was written."""
    model: ModelVersion | None = None
    """What the registry made of its candidate; None while it has said nothing."""
    noted: tuple[Note, ...] = ()
    """What people noted on the training itself."""
    held_back: bool = False
    """The policy has not rolled its version out, for what came of its gate; a person may have done so since."""

    @property
    def notes(self) -> list[Note]:
        """What people noted on it and on the version that came of it, the oldest first."""
        of_version = notes_on(self.model) if self.model is not None else []
        return sorted([*self.noted, *of_version], key=lambda note: note.at_ms)

    @property
    def version(self) -> str:
        """The version that came of it; empty if none did."""
        return self.model.version if self.model is not None else ""

    @property
    def outcome(self) -> str:
        """What came of it, in a few words."""
        if self.last.phase == "started":
            return "under way"
        if self.last.phase != "finished":
            return f"{self.last.phase}: {self.last.reason}"
        if self.model is None:
            return "a candidate, on which the registry has not decided"
        if not self.version:
            return f"{self.model.state}: {self.model.reason}"
        gate = "its gate failed" if self.last.gate == "fail" else "its gate does not speak for it"
        held_back = f", but not rolled out by itself: {gate}" if self.held_back else ""
        return f"{self.version}, {self.model.state}{held_back}"


def trainings(bus: Bus, pipeline: str) -> list[Run]:
    """All of a pipeline that the topic retains, the oldest first. Raises RetriableError if the broker falls silent."""
    return runs_of(read(bus, "trainings", "models", "decisions"), pipeline)


def runs_of(facts: Iterable[Fact], pipeline: str) -> list[Run]:
    """The trainings that these records tell of, in the order in which they began. Pure."""
    facts = list(facts)
    noted = notes_on_trainings(facts, pipeline)
    first: dict[str, int] = {}
    last: dict[str, Training] = {}
    models: dict[str, ModelVersion] = {}
    held_back: set[str] = set()
    for fact in facts:
        match fact.message:
            case Training(pipeline=name) as record if name == pipeline:
                first.setdefault(record.training, record.at_ms)
                if record.phase != "started" or record.training not in last:
                    last[record.training] = record
            case ModelVersion() as model if model.pipeline == pipeline and TRAINING in model.manifest.lineage:
                models[model.manifest.lineage[TRAINING]] = model
            case Decision(pipeline=name) as decision if name == pipeline and _holds_back(decision):
                held_back.add(decision.inputs[TRAINING])
    return [
        Run(record, first[training], models.get(training), tuple(noted.get(training, ())), training in held_back)
        for training, record in last.items()
    ]


def find(runs: Sequence[Run], named: str) -> Run:
    """The one whose id begins like this, or from which this version came; raises OperateError."""
    found = [run for run in runs if run.version == named or (named and run.last.training.startswith(named))]
    if len(found) == 1:
        return found[0]
    what = "no training has" if not found else f"{len(found)} trainings have"
    raise OperateError(
        f"{what} an id that begins with {named!r}, or led to a version of that number; `freshet trainings list` shows "
        "them all. A version that was packed and published by somebody has no training.",
        "usage",
    )


def _holds_back(decision: Decision) -> bool:
    """Whether a policy says here what came of the gate of a version, and that it does not roll it out."""
    return decision.about == "rollout" and decision.verdict == "refused" and TRAINING in decision.inputs
