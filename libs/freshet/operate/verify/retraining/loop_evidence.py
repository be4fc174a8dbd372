"""What the topics say of retraining, as its judge takes it in."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Generic, TypeVar

from freshet.contracts.messages import Alarm, Command, Manifest, Message
from freshet.contracts.training_message import Training
from freshet.ledger.ledger import PipelineLedger
from freshet.pipeline import PipelineSpec

PROMISE: Final = "retraining"
TRAINING: Final = "training"
"""What a model's lineage calls the training that it came of."""
SHORT: Final = "told in short"
"""Begins the reason of a record that was too large: it has no figures."""

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Dated(Generic[M]):
    """A message, and when the broker got it."""

    at_ms: int
    message: M


@dataclass(frozen=True, slots=True)
class Specified:
    """A specification, and when it was published."""

    at_ms: int
    spec: PipelineSpec


@dataclass(frozen=True)
class LoopEvidence:
    """One pipeline's records, each kind in the order of its topic."""

    ledger: PipelineLedger
    """Its specifications, versions and epochs."""
    specs: Mapping[int, Specified]
    """Its specifications by number, as far as they can be read here."""
    trainings: Sequence[Dated[Training]]
    alarms: Sequence[Dated[Alarm]]
    commands: Sequence[Dated[Command]]
    """Those to retrain, with their repetitions and withdrawals."""
    models: Mapping[str, Manifest]
    """Of candidates and versions: what each is called, and its manifest."""
    cut: AbstractSet[str]
    """Roles of topics whose front retention has taken."""

    @cached_property
    def by_training(self) -> Mapping[str, Sequence[Dated[Training]]]:
        """The records of each training, in their order."""
        found: dict[str, list[Dated[Training]]] = defaultdict(list)
        for told in self.trainings:
            found[told.message.training].append(told)
        return found

    @cached_property
    def begun(self) -> Sequence[Dated[Training]]:
        """The records that a training began."""
        return [told for told in self.trainings if told.message.phase == "started"]

    @cached_property
    def finished(self) -> Sequence[Dated[Training]]:
        """The records that a training led to a model."""
        return [told for told in self.trainings if told.message.phase == "finished"]

    @property
    def in_force(self) -> PipelineSpec | None:
        """The newest specification; None if the pipeline was deleted, or if it cannot be read here."""
        record = self.ledger.specification
        found = self.specs.get(record.number) if record is not None else None
        return found.spec if found is not None else None

    def spec_of(self, told: Dated[Training]) -> PipelineSpec | None:
        """The specification that a training is for; None if it cannot be read here.

        Nor if it was published after the record: then the pipeline was deleted since, and begun anew.
        """
        found = self.specs.get(told.message.specification)
        return found.spec if found is not None and found.at_ms <= told.at_ms else None
