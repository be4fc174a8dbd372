"""What the registry knows of one pipeline, and the questions its decisions ask of that.

The fields are written by `fold` alone. Decisions read them, and look ahead on a copy (`dataclasses.replace`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from freshet.contracts.messages import Candidate, Command, ModelVersion, Rollout, WorkerState
from freshet.contracts.pipeline import PipelineSpec
from freshet.registry.core.policy import Policy
from freshet.registry.core.versions import Version

_MISSED_BEATS = 3
"""A worker that has missed this many beats counts as dead."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a pipeline's newest specification asks of the registry."""

    number: int
    spec: PipelineSpec | None = None
    policy: Policy | None = None
    trouble: str = ""
    """Why spec and policy are missing: the specification cannot be read."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A candidate without a verdict; `offset` is where it was first published."""

    offset: int
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Asked:
    """A command without a decision; `offset` is where it was first published."""

    offset: int
    command: Command


@dataclass(frozen=True, slots=True)
class Beat:
    """A worker's newest state, and when it said so."""

    timestamp_ms: int
    offset: int
    worker: WorkerState


@dataclass(slots=True)
class PipelineState:
    """One pipeline as the topics tell it."""

    name: str
    rules: Rules | None = None
    candidates: dict[str, Waiting] = field(default_factory=dict)
    """Candidates without a verdict, by digest."""
    judged: set[str] = field(default_factory=set)
    """Digests that have a models record: each is judged once."""
    models: dict[str, ModelVersion] = field(default_factory=dict)
    """Numbered versions by number, refused candidates by digest."""
    rollouts: dict[int, Rollout] = field(default_factory=dict)
    commands: dict[str, Asked] = field(default_factory=dict)
    """Commands without a decision, by command id."""
    answered: set[str] = field(default_factory=set)
    """Ids of commands that have their decision."""
    beats: dict[str, Beat] = field(default_factory=dict)
    """Newest state of every worker that serves this pipeline, by instance, alive or not."""

    @property
    def live(self) -> Rollout | None:
        """The epoch in force: the highest one that is live."""
        epochs = [epoch for epoch, rollout in self.rollouts.items() if rollout.phase == "live"]
        return self.rollouts[max(epochs)] if epochs else None

    @property
    def live_epoch(self) -> int:
        """Number of the epoch in force, 0 before the first."""
        return self.live.epoch if self.live else 0

    @property
    def paused(self) -> bool:
        """Whether no rollout may start."""
        return self.live is not None and self.live.paused

    @property
    def serving(self) -> str:
        """The version that answers; empty while none does."""
        return named(self.live) if self.live else ""

    @property
    def prepares(self) -> list[Rollout]:
        """Open prepares, lowest epoch first; decisions never open a second one."""
        return [self.rollouts[epoch] for epoch in sorted(self.rollouts) if self.rollouts[epoch].phase == "prepare"]

    @property
    def next_epoch(self) -> int:
        """A number above all that were ever used, aborted ones included."""
        return max(self.rollouts, default=0) + 1

    @property
    def versions(self) -> list[ModelVersion]:
        """All numbered versions in whatever state, the newest last."""
        numbered = [record for record in self.models.values() if record.version]
        return sorted(numbered, key=lambda record: Version.parse(record.version))

    def admitted(self, version: str) -> bool:
        """Whether the version exists and may serve."""
        return version in self.models and self.models[version].state == "admitted"

    def served_before(self, version: str) -> list[str]:
        """Other versions that have served and still may, the one that served last first."""
        newest_first = [self.rollouts[epoch] for epoch in sorted(self.rollouts, reverse=True)]
        served = dict.fromkeys(named(rollout) for rollout in newest_first if rollout.phase == "live")
        return [other for other in served if other != version and self.admitted(other)]

    def rollback_target(self) -> str:
        """Where a rollback without a version goes: who served last before the present table, and is still resident.

        As with `kubectl rollout undo`, a rollback is itself undone by another one. Empty when there is nowhere to go.
        """
        return next(iter(self.served_before(self.serving)), "")

    def live_workers(self, now_ms: int) -> Mapping[str, WorkerState]:
        """Workers that a rollout waits for, by instance: they serve, beat and own partitions."""
        return {
            instance: beat.worker
            for instance, beat in sorted(self.beats.items())
            if now_ms - beat.timestamp_ms <= _MISSED_BEATS * beat.worker.interval_ms
            and not beat.worker.leaving
            and beat.worker.partitions
        }


def named(rollout: Rollout) -> str:
    """The version that an epoch's table gives all entities to; empty while no model serves."""
    return rollout.table[0].version if rollout.table else ""
