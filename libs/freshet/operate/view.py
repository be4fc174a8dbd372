"""What the control topics say about one pipeline, kept current for whoever watches."""

import time
from collections.abc import Callable
from typing import TypeVar

from freshet.contracts.logic import Fact
from freshet.contracts.messages import Command, Cutover, Decision, Manifest, ModelVersion, Rollout, WorkerState
from freshet.ledger.manifest_id import manifest_id
from freshet.operate.errors import LocalError
from freshet.runtime.bus.protocol import Bus, RetriableError
from freshet.runtime.feed import Feed

T = TypeVar("T")

_ROLES = ("models", "rollouts", "cutovers", "workers", "decisions")
_POLL_S = 0.1


class View:
    """The newest record of every key, by kind. Not thread-safe."""

    def __init__(self, bus: Bus, pipeline: str) -> None:
        self.pipeline = pipeline
        self._feed = Feed(bus.reader(_ROLES))
        self.models: dict[str, ModelVersion] = {}
        """By key: numbered versions, and refused candidates."""
        self.rollouts: dict[int, Rollout] = {}
        self.cutovers: list[Cutover] = []
        self.workers: dict[str, WorkerState] = {}
        self.beats_ms: dict[str, int] = {}
        """When each worker last reported, by the broker's clock."""
        self.decisions: list[Decision] = []

    def refresh(self, timeout_s: float = 0.0) -> None:
        """Fold what has arrived; waits at most that long for the first record."""
        for fact in self._feed.facts(timeout_s):
            self._fold(fact)

    def catch_up(self, timeout_s: float = 30.0) -> None:
        """Fold all that was there when this view was made; raises LocalError if that takes longer."""
        self.wait("the control topics", lambda _: self._feed.caught_up() or None, timeout_s)

    def wait(self, what: str, found: Callable[["View"], T | None], timeout_s: float = 60.0) -> T:
        """Fold until `found` finds something; raises LocalError naming what did not happen in time. Blocks.

        A broker that has just come back refuses for some seconds (its coordinators load): that is waited out, too.
        """
        deadline = time.monotonic() + timeout_s
        refused = ""
        while True:
            try:
                self.refresh(_POLL_S)
                result, refused = found(self), ""
            except RetriableError as error:
                result, refused = None, f" The broker refuses: {error}"
                time.sleep(_POLL_S)
            if result is not None and result is not False:
                return result
            if time.monotonic() > deadline:
                raise LocalError(
                    f"waited {timeout_s:.0f} s in vain for {what}; the services' logs may say why.{refused}"
                )

    @property
    def live(self) -> Rollout | None:
        """The live epoch: the highest in phase live."""
        live = [rollout for rollout in self.rollouts.values() if rollout.phase == "live"]
        return max(live, key=lambda rollout: rollout.epoch, default=None)

    @property
    def serving(self) -> str | None:
        """The version that the live epoch names."""
        return self.live.table[0].version if self.live is not None and self.live.table else None

    def verdict(self, manifest: Manifest, offset: int = -1) -> ModelVersion | None:
        """The registry's word on this manifest, once there is one; a refusal only if it is on that record or later."""
        identity = manifest_id(manifest)
        words = [
            model for model in self.models.values() if (model.manifest_id or manifest_id(model.manifest)) == identity
        ]
        admitted = next((model for model in words if model.version), None)
        return admitted or next((model for model in words if model.candidate_offset >= offset), None)

    def decision(self, command: Command) -> Decision | None:
        """The answer to a command, once there is one."""
        return next((decision for decision in self.decisions if decision.subject == command.command_id), None)

    def cuts(self, epoch: int) -> dict[int, Cutover]:
        """The cut-overs to an epoch, by partition."""
        return {cut.partition: cut for cut in self.cutovers if cut.epoch == epoch and not cut.fallback}

    def close(self) -> None:
        """Free the reader."""
        self._feed.close()

    def _fold(self, fact: Fact) -> None:
        message = fact.message
        if message is None:
            self._forget(fact)
        if message is None or getattr(message, "pipeline", None) != self.pipeline:
            return
        match message:
            case ModelVersion():
                self.models[fact.key] = message
            case Rollout():
                self.rollouts[message.epoch] = message
            case Cutover():
                self.cutovers.append(message)
            case WorkerState():
                self.workers[fact.key] = message
                self.beats_ms[fact.key] = fact.timestamp_ms
            case Decision():
                self.decisions.append(message)

    def _forget(self, fact: Fact) -> None:
        """What has a tombstone is gone; all of a pipeline's cut-overs get theirs together, when it is deleted."""
        pipeline, _, rest = fact.key.partition("/")
        if fact.role == "workers":
            self.workers.pop(fact.key, None)
            self.beats_ms.pop(fact.key, None)
        if pipeline != self.pipeline:
            return
        if fact.role == "models":
            self.models.pop(fact.key, None)
        elif fact.role == "rollouts" and rest.isdigit():
            self.rollouts.pop(int(rest), None)
        elif fact.role == "cutovers":
            self.cutovers.clear()
