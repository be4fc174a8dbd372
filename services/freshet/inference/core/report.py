"""What a worker tells of itself: why partitions wait, and how it fared with the epochs it was asked to prepare."""

from freshet.contracts.messages import Prepared, Rollout
from freshet.contracts.position import Position
from freshet.inference.core.epoch_rules import EpochRules, servable
from freshet.inference.core.resident_models import Failure, ResidentModels
from freshet.ledger.epochs import champion, named_by, understudy
from freshet.ledger.ledger import PipelineLedger

NO_MODEL = "no model yet: no epoch is live."
_UNSERVABLE = "its table names several versions, and this release serves one."


class Report:
    """Sentences and verdicts about the state of the other parts; changes nothing."""

    def __init__(self, ledger: PipelineLedger, models: ResidentModels, rules: EpochRules) -> None:
        self._ledger = ledger
        self._models = models
        self._rules = rules

    def prepared(self) -> tuple[Prepared, ...]:
        """A verdict for the live epoch and each open prepare, once there is one."""
        verdicts = (self._verdict(rollout) for rollout in self._ledger.epochs.asked())
        return tuple(verdict for verdict in verdicts if verdict)

    def why_waiting(self, position: Position) -> str:
        """A sentence for a partition that cannot be answered at `position` nor later."""
        live = self._ledger.epochs.live
        if live is None:
            return self._ledger.disbelief() or NO_MODEL
        if position.epoch > live.epoch:
            return f"it was answered under epoch {position.epoch}, which is not known here yet."
        if not servable(live):
            return f"epoch {live.epoch}: {_UNSERVABLE if live.table else 'its table names no version.'}"
        missing = [understudy(live)]
        if position < (live.epoch, 1):
            version = champion(live)
            missing = [version, *missing] if self._rules.is_blocked(version) else [version]
        return f"epoch {live.epoch}: {'; '.join(map(self._why_not, missing))}"

    def _why_not(self, version: str) -> str:
        if not version:
            return "it names no understudy."
        found = self._trouble(version)
        return f"{version}: {found.reason}: {found.detail}" if found else f"{version} is not loaded yet."

    def _verdict(self, rollout: Rollout) -> Prepared | None:
        if rollout.table and not servable(rollout):
            return Prepared(epoch=rollout.epoch, verdict="table_unsupported", detail=_UNSERVABLE)
        versions = named_by(rollout)
        for version in versions:
            found = self._trouble(version)
            if found:
                return Prepared(epoch=rollout.epoch, verdict=found.reason, detail=f"{version}: {found.detail}")
        loaded = [self._models.get(version) for version in versions]
        here = [model for model in loaded if model]
        if len(here) < len(versions):
            return None
        load_ms = max((model.load_ms for model in here), default=0)
        p99_us = max((model.p99_us for model in here), default=0)
        return Prepared(epoch=rollout.epoch, verdict="ok", load_ms=load_ms, p99_us=p99_us)

    def _trouble(self, version: str) -> Failure | None:
        """Why a version cannot answer here; None if it can, or if it is only not loaded yet."""
        if self._ledger.is_revoked(version):
            return Failure("revoked", "the live epoch forbids this artifact.")
        quarantined = self._models.quarantine_of(version)
        if quarantined:
            return Failure("quarantined", f"{quarantined.reason}: {quarantined.detail}")
        model = self._models.get(version)
        if model is None:
            return self._models.failure_of(version)
        if self._rules.answerer(version):
            return None
        return Failure("spec_unknown", "it reads features that no pipeline specification here names yet.")
