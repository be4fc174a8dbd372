"""What retraining knows of each pipeline. All of it follows from topics alone."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from freshet.contracts.errors import ContractError
from freshet.contracts.logic import Fact
from freshet.contracts.messages import Alarm, Command, ModelVersion, PipelineRecord
from freshet.contracts.training_message import Training
from freshet.ledger.ledger import Ledger, PipelineLedger, pipeline_of
from freshet.models.model_error import may_be_mended
from freshet.pipeline import PipelineSpec
from freshet.pipeline.trigger import Seen
from freshet.retraining.core.train_job import Measured
from freshet.retraining.core.training_history import Trainings

_VERDICT_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Specification:
    """A specification of a pipeline, or why it cannot be read."""

    number: int
    text: str
    applied_ms: int
    spec: PipelineSpec | None = None
    trouble: str = ""


@dataclass(slots=True)
class TrainingState:
    """One pipeline as retraining knows it."""

    ledger: PipelineLedger
    rules: dict[int, Specification] = field(default_factory=dict)
    """Its specifications by number."""
    alarms: dict[str, Alarm] = field(default_factory=dict)
    """By id, in the order of their topic."""
    commands: dict[str, Command] = field(default_factory=dict)
    """Commands to retrain that have no answer yet, by id, with the earliest end that was ever said."""
    trainings: Trainings = field(default_factory=Trainings)

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return self.ledger.name

    @property
    def in_force(self) -> Specification | None:
        """The newest specification; None while there is none, and after the pipeline was deleted."""
        record = self.ledger.specification
        return self.rules.get(record.number) if record is not None else None

    @property
    def champion(self) -> ModelVersion | None:
        """The version that answers."""
        return self.ledger.versions.records.get(self.ledger.epochs.serving)

    def awaits_verdict(self, now_ms: int) -> bool:
        """Whether the newest model may be about to answer: one that is trained now would be compared with another.

        Not for longer than a minute: whether it answers is for the policy to say, and for people where they approve.
        """
        ended = [record for record in self.trainings.records.values() if record.phase == "finished"]
        newest = max(ended, key=lambda record: record.at_ms, default=None)
        rules = self.in_force
        if newest is None or newest.gate != "pass" or now_ms - newest.at_ms >= _VERDICT_MS:
            return False
        spec = rules.spec if rules is not None else None
        if spec is None or spec.retraining.approval == "required" or spec.rollout.policy == "manual":
            return False
        answered = (one for one in self.ledger.versions.records.values() if self.ledger.epochs.last_led(one.version))
        decided = [*self.ledger.versions.refusals.values(), *answered]  # also one that was rolled back since
        return all(model.manifest.lineage.get("training") != newest.training for model in decided)

    def vain(self, record: Training) -> bool:
        """Whether this training's candidate was refused for something that need not be so when it comes again."""
        versions = self.ledger.versions
        if not record.digest or versions.same_bytes(record.digest):
            return False
        refusals = [found for found in versions.refusals.values() if found.manifest.digest == record.digest]
        return bool(refusals) and all(may_be_mended(found.reason) for found in refusals)

    def seen(self, now_ms: int, log: Measured | None) -> Seen:
        """What triggers see; `log` is the labelled log if somebody has just looked."""
        rules, done = self.in_force, list(self.trainings.done(log)) if log is not None else []
        finished = [record.trained_through_ms for record in self.trainings.records.values()]
        champion = self.champion
        admitted_ms = champion.history[0].at_ms if champion is not None and champion.history else 0
        return Seen(
            now_ms=now_ms,
            applied_ms=rules.applied_ms if rules is not None else 0,
            rows=log.rows if log is not None else None,
            log=log.topic_id if log is not None else "",
            trained_row=done[0].end_row if done else 0,
            trained_ms=max(finished, default=0) or admitted_ms,
            answered=self.trainings.answered,
            alarms=tuple(self.alarms.values()),
            commands=tuple(self.commands.values()),
        )

    def ask(self, command: Command) -> None:
        """Take in a command to retrain, its repetition, or its withdrawal."""
        if command.command_id in self.trainings.answered.get("command", ()):
            return
        before = self.commands.get(command.command_id, command)
        expires_at_ms = min(before.expires_at_ms, command.expires_at_ms)
        self.commands[command.command_id] = before.model_copy(update={"expires_at_ms": expires_at_ms})

    def answer(self, record: Training) -> None:
        """Take in what became of an occasion."""
        self.trainings.fold(record)
        if record.trigger == "command":
            self.commands.pop(record.trigger_id, None)


class TrainingStates:
    """The state of every pipeline that any fact has named."""

    def __init__(self) -> None:
        self._ledger = Ledger()
        self._states: dict[str, TrainingState] = {}

    def __iter__(self) -> Iterator[TrainingState]:
        """All pipelines, by name."""
        return iter([self._states[name] for name in sorted(self._states)])

    def state(self, pipeline: str) -> TrainingState:
        """The pipeline of that name, without anything known of it if no fact has named it."""
        return self._states.setdefault(pipeline, TrainingState(self._ledger.of(pipeline)))

    def fold(self, fact: Fact) -> None:
        """Take in one control record of any role that retraining follows or owns; those of roles may come mixed."""
        state = self.state(pipeline_of(fact))
        match fact.message:
            case Command() as command:
                if command.action == "retrain":
                    state.ask(command)
                return
            case Alarm() as alarm:
                state.alarms.setdefault(alarm.id, alarm)
                return
            case Training() as record:
                state.answer(record)
                return
            case PipelineRecord() as record:
                state.rules[record.number] = _rules(record, fact.timestamp_ms)
        self._ledger.fold(fact)


def _rules(record: PipelineRecord, applied_ms: int) -> Specification:
    try:
        return Specification(record.number, record.spec, applied_ms, PipelineSpec.parse(record.spec))
    except ContractError as error:
        return Specification(record.number, record.spec, applied_ms, trouble=str(error))
