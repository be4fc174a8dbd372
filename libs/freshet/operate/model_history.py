"""Which version answered when, and who approved it: from cut-overs, rollouts, commands and decisions. Pure."""

from dataclasses import dataclass, replace
from typing import Final, Literal

from freshet.contracts.messages import Rollout
from freshet.contracts.position import Position
from freshet.ledger.decisions import Commands
from freshet.ledger.epochs import understudy
from freshet.ledger.ledger import PipelineLedger

ROLES: Final = ("rollouts", "cutovers", "commands", "decisions")
"""What the history is read from. Commands are kept for 90 days and decisions for two years, all else for ever."""

_POLICY: Final = "policy "
"""Begins the cause of an epoch that the rollout policy made; the policy's kind follows."""


@dataclass(frozen=True, slots=True)
class Approval:
    """Who let an epoch go live."""

    kind: Literal["command", "policy", "registry"]
    """An operator's command, the pipeline's rollout policy, or the registry's own rescue."""
    what: str
    """The command's action, the policy's kind, or what the registry did: `quarantine 1.1.0`, `recovered`."""
    by: str = ""
    """The operator; empty without one, or if neither the command nor its decision is kept any more."""
    command_id: str = ""
    text: str = ""
    at_ms: int | None = None
    """When the command was given; None for the registry's own, whose moment is that of the epoch."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch that went live."""

    epoch: int
    versions: tuple[str, ...]
    """Who answers under it, the champion first; empty if it names nobody."""
    understudy: str
    live_ms: int
    until_ms: int | None
    """When the next epoch went live; None while it is in force."""
    approval: Approval


@dataclass(frozen=True, slots=True)
class Answers:
    """A stretch of one partition of the features topic that was answered alike."""

    topic_id: str
    partition: int
    first_offset: int
    since_ms: int
    """When the partition was cut over, by the worker's clock."""
    epoch: int
    fallback: bool
    versions: tuple[str, ...]
    """The epoch's versions, or an understudy for one in fallback; empty if the epoch's record is gone."""
    end_offset: int | None = None
    """One past the last offset of it; None where it goes on, or where the topic was made anew since."""
    until_ms: int | None = None

    def at(self, moment_ms: int) -> bool:
        """Whether this answered at that moment."""
        return self.since_ms <= moment_ms and (self.until_ms is None or moment_ms < self.until_ms)


@dataclass(frozen=True, slots=True)
class ModelHistory:
    """What answered, the oldest first, and the epochs that it rests on."""

    answers: tuple[Answers, ...]
    epochs: tuple[Epoch, ...]

    def at(self, moment_ms: int) -> "ModelHistory":
        """What answered at that moment, and the epochs in force there."""
        answers = tuple(found for found in self.answers if found.at(moment_ms))
        named = {found.epoch for found in answers}
        return ModelHistory(answers, tuple(epoch for epoch in self.epochs if epoch.epoch in named))


def model_history(ledger: PipelineLedger) -> ModelHistory:
    """The history of a pipeline whose ledger has folded the records of `ROLES`.

    Only answers that are published count, none of another lane.
    """
    epochs = tuple(
        Epoch(
            tenure.rollout.epoch,
            tuple(share.version for share in tenure.rollout.table),
            understudy(tenure.rollout),
            tenure.since_ms,
            tenure.until_ms,
            _approval(tenure.rollout, ledger.commands),
        )
        for tenure in ledger.epochs.history()
    )
    return ModelHistory(tuple(_answers(ledger)), epochs)


def _answers(ledger: PipelineLedger) -> list[Answers]:
    """A stretch for each cut-over: it ends where the next one of its partition begins."""
    found: list[Answers] = []
    last: dict[int, int] = {}
    for cut, at_ms in zip(ledger.cutovers.told, ledger.cutovers.told_ms, strict=True):
        if cut.lane != "serve":
            continue
        if cut.partition in last:
            before = found[last[cut.partition]]
            end = cut.first_offset if cut.topic_id == before.topic_id else None
            found[last[cut.partition]] = replace(before, end_offset=end, until_ms=at_ms)
        last[cut.partition] = len(found)
        position = Position(cut.epoch, cut.fallback)
        versions = tuple(answerer.version for answerer in ledger.epochs.answerers(position))
        found.append(
            Answers(cut.topic_id, cut.partition, cut.first_offset, at_ms, cut.epoch, bool(cut.fallback), versions)
        )
    return found


def _approval(rollout: Rollout, commands: Commands) -> Approval:
    command_id, asked = rollout.command_id, commands.named_by(rollout)
    if asked is not None:
        return Approval("command", rollout.cause, asked.command.by, command_id, asked.command.text, asked.timestamp_ms)
    if command_id:
        decision = commands.decisions.get(command_id)
        return Approval("command", rollout.cause, decision.inputs.get("by", "") if decision else "", command_id)
    policy = rollout.cause.removeprefix(_POLICY)
    return Approval("registry" if policy == rollout.cause else "policy", policy)
