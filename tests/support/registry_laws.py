"""What must hold of all the registry ever commits. Checked on the log alone: it trusts no state of the registry."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from freshet.avro.control import encode
from freshet.contracts.logic import Fact
from freshet.contracts.messages import Command, Decision, ModelVersion, Rollout, WorkerState
from freshet.ledger.manifest_id import manifest_id


@dataclass
class Laws:
    """Follows one pipeline's log record by record and fails on the first one that breaks a promise."""

    rollouts: dict[int, Rollout] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    answers: dict[str, str] = field(default_factory=dict)
    holds: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seen: int = 0

    def read(self, log: Sequence[Fact]) -> None:
        """Take in what is new in the log, up to the end of a committed batch."""
        for fact in log[self.seen :]:
            match fact.message:
                case Rollout() as rollout:
                    self._rollout(rollout)
                case ModelVersion() as model:
                    self._model(model)
                case WorkerState() as worker:
                    self.holds[worker.instance] = worker.resident
                case Command() as command:
                    self.asked.add(command.command_id)
                case Decision() as decision if decision.about == "command":
                    assert decision.subject in self.asked, f"{decision.subject} was never asked"
                    assert decision.subject not in self.answers, f"{decision.subject} is answered twice"
                    self.answers[decision.subject] = decision.verdict
                case None if fact.role in ("models", "rollouts"):
                    self._forget(fact.role)
        self.seen = len(log)
        self._at_rest()

    def _forget(self, role: str) -> None:
        """A pipeline was deleted: its numbers are free again."""
        forgotten: tuple[dict[Any, Any], ...] = (self.rollouts,)
        if role == "models":
            forgotten = (self.states, self.digests, self.numbers, self.aliases)
        for table in forgotten:
            table.clear()

    def _rollout(self, rollout: Rollout) -> None:
        before = self.rollouts.get(rollout.epoch)
        if before is None:
            assert rollout.epoch > max(self.rollouts, default=0), "a number was issued out of order"
            assert rollout.phase != "aborted", "an epoch was aborted that never was"
            if rollout.phase == "live" and rollout.cause == "rollback":
                held = {*(self.live.resident if self.live else ()), *sum(self.holds.values(), ())}
                assert rollout.table[0].version in held, "a rollback went at once to what nobody holds"
            assert rollout.expected_previous == (self.live.epoch if self.live else 0)
            assert rollout.previous_digest == (sha256(encode(self.live)).hexdigest() if self.live else "")
        else:
            assert before.phase == "prepare", f"epoch {rollout.epoch} changed after it was {before.phase}"
            assert rollout == before.model_copy(update={"phase": rollout.phase, "signatures": rollout.signatures}), (
                "the table changed under one number"
            )
        if rollout.phase != "aborted":
            assert rollout.epoch > (self.live.epoch if self.live else 0), "an epoch went live below the one in force"
            answering = [share.version for share in rollout.table]
            assert sum(share.share for share in rollout.table) in {0, 10_000}
            assert {*answering, *rollout.understudies.values()} <= set(rollout.resident)
            for version in rollout.resident:
                assert self.states.get(version) == "admitted", f"{version} may not serve"
            assert not set(rollout.revoked) & {self.digests[version] for version in rollout.resident}
        if before is None and rollout.phase == "prepare" and rollout.paused:
            assert rollout.cause == "rollback", "prepared while paused"
        self.rollouts[rollout.epoch] = rollout

    def _model(self, model: ModelVersion) -> None:
        key = model.version or model.manifest.digest
        assert self.digests.setdefault(key, model.manifest.digest) == model.manifest.digest, "a number was used twice"
        if model.version:
            number = self.numbers.setdefault(manifest_id(model.manifest), model.version)
            assert number == model.version, "a manifest has two numbers"
        self.states[key] = model.state
        self.aliases[key] = model.aliases

    def _at_rest(self) -> None:
        """Holds between batches, where readers may stop."""
        opened = [rollout for rollout in self.rollouts.values() if rollout.phase == "prepare"]
        assert len(opened) <= 1, "two prepares are open"
        assert self._called("champion") == ([self.serving] if self.serving else [])
        for version in (*self._called("champion"), *self._called("previous")):
            assert self.states[version] == "admitted"
            assert self.live is not None
            assert version in self.live.resident, f"{version} is not loaded, but one command away from serving"

    def _called(self, alias: str) -> list[str]:
        return [version for version, aliases in self.aliases.items() if alias in aliases]

    @property
    def live(self) -> Rollout | None:
        """The epoch in force."""
        live = [rollout for rollout in self.rollouts.values() if rollout.phase == "live"]
        return max(live, key=lambda rollout: rollout.epoch, default=None)

    @property
    def serving(self) -> str:
        """The version that answers, '' if none."""
        return self.live.table[0].version if self.live and self.live.table else ""

    def previous(self) -> list[str]:
        """Versions that have served, still may, do not now, and were not left by a rollback when they last did."""
        ended_by: dict[str, str] = {}
        before = ""
        for _, rollout in sorted(self.rollouts.items()):
            if rollout.phase == "live":
                version = rollout.table[0].version if rollout.table else ""
                if version != before:
                    ended_by[before] = rollout.cause
                before = version
        served = {version for version, cause in ended_by.items() if version and cause != "rollback"}
        return sorted(version for version in served - {self.serving} if self.states[version] == "admitted")

    def unanswered(self) -> set[str]:
        """Commands without a decision."""
        return self.asked - set(self.answers)


class Lawless(Laws):
    """The laws are of a registry that knows all it ever wrote."""

    def read(self, log: Sequence[Fact]) -> None:
        """Let all pass."""
        return
