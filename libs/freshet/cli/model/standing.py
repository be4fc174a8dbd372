"""How a pipeline's models stand, folded from the control topics: pure, for `freshet model` to print."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from freshet.cli.control import newest
from freshet.cli.presence import presence
from freshet.cli.times import clock_time
from freshet.contracts.logic import Fact
from freshet.contracts.messages import Command, Cutover, ModelVersion, Rollout

ROLES: Final = ("models", "rollouts", "workers", "cutovers", "commands")
"""What `Standing` is folded from."""


@dataclass(frozen=True, slots=True)
class Partition:
    """Where a partition of the features topic is in history, by the worker that holds it and by its last cut-over."""

    partition: int
    worker: str
    epoch: int
    fallback: int
    version: str
    """Who answers it there; empty if nobody does."""
    held: str
    since_offset: int | None
    """First offset answered at this position; None before its first answer."""


class Standing:
    """One pipeline's models, rollouts, workers and partitions as of `now_ms`."""

    def __init__(self, pipeline: str, facts: Iterable[Fact], now_ms: int) -> None:
        facts = list(facts)
        models = (found.message for found in newest(facts, ModelVersion).values())
        rollouts = (found.message for found in newest(facts, Rollout).values())
        self.models = _current([model for model in models if model.pipeline == pipeline])
        self.rollouts = sorted(
            (rollout for rollout in rollouts if rollout.pipeline == pipeline), key=lambda rollout: rollout.epoch
        )
        self.services = tuple(
            presence(facts, service, pipeline, now_ms) for service in ("registry", "ingestion", "inference")
        )
        self.workers = list(self.services[-1].workers)
        self._commands = _commands(facts)
        self._cutovers = [found for found in newest(facts, Cutover).values() if found.message.pipeline == pipeline]

    @property
    def live(self) -> Rollout | None:
        """The epoch in force."""
        return next((rollout for rollout in reversed(self.rollouts) if rollout.phase == "live"), None)

    @property
    def preparing(self) -> list[Rollout]:
        """Epochs that workers are asked to load."""
        return [rollout for rollout in self.rollouts if rollout.phase == "prepare"]

    def why(self, rollout: Rollout) -> str:
        """What led to an epoch: who asked for it and when, where a command did."""
        action, _, command_id = rollout.cause.partition(" ")
        if command_id not in self._commands:
            return rollout.cause
        asked, at_ms = self._commands[command_id]
        note = f" ({asked.text})" if asked.text else ""
        return f"{action} by {asked.by or 'somebody'} at {clock_time(at_ms)}{note}"

    def part_of(self, version: str) -> str:
        """What a version does now: `answers`, `understudy`, `prepared`, or nothing."""
        live = self.live
        if live and version in [share.version for share in live.table]:
            return "answers"
        if live and version in live.understudies.values():
            return "understudy"
        if any(version in [share.version for share in rollout.table] for rollout in self.preparing):
            return "prepared"
        return ""

    def partitions(self) -> list[Partition]:
        """Partitions in the hands of living workers, in order."""
        return sorted(self._partitions(), key=lambda found: (found.partition, found.worker))

    def _partitions(self) -> Iterator[Partition]:
        since = self._since()
        for worker in self.workers:
            for held in worker.state.partitions if worker.alive else ():
                yield Partition(
                    held.partition,
                    worker.state.instance,
                    held.epoch,
                    held.fallback,
                    self._answering(held.epoch, held.fallback),
                    held.held,
                    since.get((worker.state.lane, held.partition, held.epoch, held.fallback)),
                )

    def _answering(self, epoch: int, fallback: int) -> str:
        """The version that answers at this position in history."""
        rollout = next((known for known in self.rollouts if known.epoch == epoch), None)
        if rollout is None or not rollout.table:
            return ""
        champion = rollout.table[0].version
        return rollout.understudies.get(champion, "") if fallback else champion

    def _since(self) -> dict[tuple[str, int, int, int], int]:
        """First offset by lane, partition, epoch and fallback, of the topic as it is now: the one last written to."""
        if not self._cutovers:
            return {}
        topic_id = max(self._cutovers, key=lambda found: found.offset).message.topic_id
        cuts = (found.message for found in self._cutovers if found.message.topic_id == topic_id)
        return {(cut.lane, cut.partition, cut.epoch, cut.fallback): cut.first_offset for cut in cuts}


def _commands(facts: Iterable[Fact]) -> dict[str, tuple[Command, int]]:
    """Commands by id as they were first asked, and when."""
    found: dict[str, tuple[Command, int]] = {}
    for fact in facts:
        if isinstance(fact.message, Command):
            found.setdefault(fact.message.command_id, (fact.message, fact.timestamp_ms))
    return found


def _current(models: list[ModelVersion]) -> list[ModelVersion]:
    """Without refusals of what was admitted since: a candidate that is published again is judged again."""
    admitted = {model.manifest_id for model in models if model.version and model.manifest_id}
    return [model for model in models if model.version or model.manifest_id not in admitted]
