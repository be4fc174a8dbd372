"""What the registry knows of one pipeline, and the questions its decisions ask of that.

`take_*` are called by `fold`, and by decisions that look ahead on a copy. They keep the answers along, so that no
question walks over all epochs or versions: both only ever become more.
"""

import bisect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from freshet.contracts.messages import Candidate, Command, ModelVersion, Rollout, WorkerState
from freshet.pipeline import PipelineSpec
from freshet.registry.core.policy import Policy, Standing
from freshet.registry.core.versions import Version

_MISSED_BEATS: Final = 3
"""A worker counts as dead once the newest beat of anybody is this many of its intervals younger than its own."""
ROLLBACK: Final = "rollback "
"""Begins the cause of an epoch that an operator's rollback made."""
_GONE_MS: Final = 300_000
"""A worker that was silent for so long before a prepare opened is not asked. The only comparison of the registry's
clock with the broker's: they may differ by this much, and nothing goes live unasked."""


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
    """A candidate whose newest record has no verdict; `offsets` are those of its records without one, in order."""

    offsets: tuple[int, ...]
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Asked:
    """A command without a decision; `offset` is where it was first published."""

    offset: int
    command: Command


@dataclass(frozen=True, slots=True)
class Beat:
    """A worker's newest state, and when the broker received it."""

    timestamp_ms: int
    offset: int
    worker: WorkerState


@dataclass(slots=True)
class BeatClock:
    """The broker's time of the newest beat of any worker: what all beats are measured against.

    Nobody dies while the broker is away, or by the registry's clock: only a later beat makes another one old.
    """

    newest_ms: int = 0


@dataclass(slots=True)
class PipelineState:
    """One pipeline as the topics tell it."""

    name: str
    clock: BeatClock = field(default_factory=BeatClock)
    rules: Rules | None = None
    deleted: bool = False
    """Whether somebody has withdrawn its specification: what is known of it is to be forgotten."""
    refused: set[str] = field(default_factory=set)
    """Manifest ids of refused candidates: their records' keys."""
    candidates: dict[str, Waiting] = field(default_factory=dict)
    """Candidates that ask for something, by manifest id."""
    judged: dict[str, int] = field(default_factory=dict)
    """Offset of the newest candidate record with a verdict, by manifest id: each record is judged once."""
    models: dict[str, ModelVersion] = field(default_factory=dict)
    """Numbered versions, by number."""
    admitted_as: dict[str, str] = field(default_factory=dict)
    """Number of the version that has this manifest, by manifest id."""
    rollouts: dict[int, Rollout] = field(default_factory=dict)
    commands: dict[str, Asked] = field(default_factory=dict)
    """Commands without a decision, by command id."""
    answered: set[str] = field(default_factory=set)
    """Ids of commands that have their decision."""
    beats: dict[str, Beat] = field(default_factory=dict)
    """Newest state of every worker that serves this pipeline, by instance, alive or not."""

    live: Rollout | None = None
    """The epoch in force: the highest one that is live."""
    live_since_ms: int = 0
    tried: set[str] = field(default_factory=set)
    """Versions that any epoch has named."""
    standings: list[Standing] = field(default_factory=list)
    """As a policy sees them, the newest last."""
    quarantined: set[str] = field(default_factory=set)
    aliased: set[str] = field(default_factory=set)
    """Versions that have an alias."""
    pardoned: set[str] = field(default_factory=set)
    """Versions that came back from quarantine while workers still report them."""
    _numbers: list[Version] = field(default_factory=list)
    _same_bytes: dict[str, set[str]] = field(default_factory=dict)
    _open: dict[int, tuple[Rollout, int]] = field(default_factory=dict)
    _served: dict[str, int] = field(default_factory=dict)
    """The last epoch in which a version was live, by version."""
    _ranked: list[tuple[int, str]] = field(default_factory=list)
    """(last epoch, version) of all that have served and still may, the last one last."""
    _last_epoch: int = 0

    def take_rollout(self, rollout: Rollout, timestamp_ms: int) -> None:
        """An epoch's record. Live and aborted are final: whatever claims the number later is not believed."""
        before = self.rollouts.get(rollout.epoch)
        if before is not None and before.phase != "prepare":
            return
        version = named(rollout)
        self.rollouts[rollout.epoch] = rollout
        self._last_epoch = max(self._last_epoch, rollout.epoch)
        self.tried.add(version)
        if rollout.phase == "prepare":
            _, opened_ms = self._open.get(rollout.epoch, (rollout, timestamp_ms))
            self._open[rollout.epoch] = (rollout, opened_ms)
            return
        self._open.pop(rollout.epoch, None)
        if rollout.phase != "live":
            return
        if self.live is None or rollout.epoch > self.live.epoch:
            self.live, self.live_since_ms = rollout, timestamp_ms
        if version and rollout.epoch > self._served.get(version, 0):
            self._unrank(version)
            self._served[version] = rollout.epoch
            self._rank(version)

    def take_model(self, record: ModelVersion) -> None:
        """A numbered version's record: of two the one with more history is the newer."""
        version = record.version
        before = self.models.get(version)
        if before is not None and len(before.history) > len(record.history):
            return
        number = Version.parse(version)
        at = bisect.bisect_left(self._numbers, number)
        if before is None:
            self._numbers.insert(at, number)
            self.standings.insert(at, Standing(version, record.state))
            self._same_bytes.setdefault(record.manifest.digest, set()).add(version)
        elif before.state != record.state:
            self.standings[at] = Standing(version, record.state)
        self._unrank(version)
        self.models[version] = record
        self._rank(version)
        for holds, versions in (
            (record.state == "quarantined", self.quarantined),
            (bool(record.aliases), self.aliased),
            (bool(record.pardoned), self.pardoned),
        ):
            (versions.add if holds else versions.discard)(version)

    def forget_models(self) -> None:
        """Nothing is known of any version any more."""
        self._forget("models", "refused", "judged", "admitted_as", "standings", "quarantined", "aliased", "pardoned")
        self._forget("_numbers", "_same_bytes", "_ranked")

    def forget_rollouts(self) -> None:
        """Nothing is known of any epoch any more."""
        self._forget("rollouts", "tried", "_open", "_served", "_ranked")
        self.live, self.live_since_ms, self._last_epoch = None, 0, 0

    def _forget(self, *names: str) -> None:
        for name in names:
            setattr(self, name, type(getattr(self, name))())

    def copy(self) -> "PipelineState":
        """To look ahead: what `take_model` changes there does not change here."""
        copied = PipelineState(**{name: getattr(self, name) for name in self.__dataclass_fields__})
        copied.models, copied.standings = dict(self.models), list(self.standings)
        copied.quarantined, copied.aliased = set(self.quarantined), set(self.aliased)
        copied.pardoned = set(self.pardoned)
        copied._numbers, copied._ranked = list(self._numbers), list(self._ranked)
        copied._same_bytes = {digest: set(versions) for digest, versions in self._same_bytes.items()}
        return copied

    def _rank(self, version: str) -> None:
        if version in self._served and self.admitted(version):
            bisect.insort(self._ranked, (self._served[version], version))

    def _unrank(self, version: str) -> None:
        key = (self._served.get(version, 0), version)
        at = bisect.bisect_left(self._ranked, key)
        if at < len(self._ranked) and self._ranked[at] == key:
            del self._ranked[at]

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
        return [self._open[epoch][0] for epoch in sorted(self._open)]

    @property
    def next_epoch(self) -> int:
        """A number above all that were ever used, aborted ones included."""
        return self._last_epoch + 1

    @property
    def newest(self) -> ModelVersion | None:
        """The version with the highest number, in whatever state."""
        return self.models[str(self._numbers[-1])] if self._numbers else None

    def admitted(self, version: str) -> bool:
        """Whether the version exists and may serve."""
        return version in self.models and self.models[version].state == "admitted"

    def same_bytes(self, digest: str) -> list[str]:
        """All versions of this artifact: one model may be published under several manifests."""
        return sorted(self._same_bytes.get(digest, ()))

    def revoked(self) -> set[str]:
        """Digests of artifacts that may not be loaded: quarantined or ever revoked, unless a version came back."""
        bad = {self.models[version].manifest.digest for version in self.quarantined}
        bad |= set(self.live.revoked) if self.live else set()
        return {digest for digest in bad if not any(map(self.admitted, self.same_bytes(digest)))}

    def left_behind(self, version: str) -> bool:
        """Whether a rollback ended the last time that this version served."""
        later = map(self.rollouts.get, range(self._served.get(version, self._last_epoch) + 1, self._last_epoch + 1))
        ended = next((rollout for rollout in later if rollout is not None and rollout.phase == "live"), None)
        return ended is not None and ended.cause.startswith(ROLLBACK)

    def served_before(self, version: str) -> Iterator[str]:
        """Other versions that have served and still may, the one that served last first.

        None that a rollback left: somebody found it bad, and it comes back only if somebody names it.
        """
        return (other for _, other in reversed(self._ranked) if other != version and not self.left_behind(other))

    def rollback_target(self) -> str:
        """Where a rollback without a version goes: the understudy, which workers hold, else who served last before.

        A second rollback goes back further, never to what the first one left. Empty when there is nowhere to go.
        """
        choices = [understudy(self.live) if self.live else "", *self.served_before(self.serving)]
        return next((other for other in choices if self.admitted(other) and not self.left_behind(other)), "")

    def live_workers(self) -> Mapping[str, WorkerState]:
        """Workers that serve, beat and own partitions, by instance."""
        return {
            instance: beat.worker
            for instance, beat in sorted(self.beats.items())
            if self.clock.newest_ms - beat.timestamp_ms <= _MISSED_BEATS * beat.worker.interval_ms
            and not beat.worker.leaving
            and beat.worker.partitions
        }

    def asked_workers(self, epoch: int) -> Mapping[str, WorkerState]:
        """Workers whose word an open prepare waits for, by instance.

        Those alive of all that were about when it opened and have not said good-bye. Where none is, all of them:
        silence is no consent, the model itself may have killed them.
        """
        _, opened_ms = self._open[epoch]
        about = {
            instance: beat.worker
            for instance, beat in sorted(self.beats.items())
            if beat.timestamp_ms >= opened_ms - _GONE_MS and not beat.worker.leaving
        }
        alive = self.live_workers()
        return {instance: worker for instance, worker in about.items() if instance in alive} or about


def named(rollout: Rollout) -> str:
    """The version that an epoch's table gives all entities to; empty while no model serves."""
    return rollout.table[0].version if rollout.table else ""


def understudy(rollout: Rollout) -> str:
    """Who stands in for that version; empty if nobody does."""
    return rollout.understudies.get(named(rollout), "")
