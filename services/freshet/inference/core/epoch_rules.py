"""Which position in history answers a partition next: the epoch rules, and nothing else."""

from dataclasses import dataclass

from freshet.contracts.messages import Rollout
from freshet.contracts.position import ORIGIN, Position
from freshet.inference.core.model_jobs import Scorer
from freshet.inference.core.resident_models import ResidentModels
from freshet.ledger.epochs import answerers, champion
from freshet.ledger.ledger import PipelineLedger
from freshet.models.input_columns import FeatureSpace, InputPlaces


@dataclass(frozen=True, slots=True, eq=False)
class PositionAnswerer:
    """Where a partition goes on in history, and who answers it there."""

    position: Position
    version: str
    scorer: Scorer
    inputs: InputPlaces
    spare: str
    """Who answers rows that `version` lacks columns of; empty if nobody may."""


class EpochRules:
    """Finds the position under which a partition goes on, from what is live and what is in memory here.

    A partition moves forward only: to the newest live epoch once that can be answered, else to the newest one that this
    worker had reached, else it stays where it is. An epoch that was superseded before this worker could answer it is
    never entered: it may have been withdrawn for a reason.
    """

    def __init__(self, ledger: PipelineLedger, models: ResidentModels) -> None:
        self._ledger = ledger
        self._models = models
        self._given_up: set[tuple[int, str]] = set()
        self._found: dict[Position, PositionAnswerer | None] = {}
        self._found_at = 0
        self.space: FeatureSpace | None = None
        self.reached = 0

    def advance(self) -> None:
        """Note it if the newest live epoch can be answered by now, and withdraw what was given up but has arrived.

        To be called after whatever changes the ledger or the space of features.
        """
        live = self._ledger.epochs.live
        if live and servable(live) and self._stand(live, 0, give_up=False):
            self.reached = live.epoch
        self._given_up = {(epoch, version) for epoch, version in self._given_up if not self.answerer(version)}
        self._found.clear()

    def forget(self, live_epoch: int) -> None:
        """The pipeline was deleted, and this is what is left live of it, if anything: numbers begin anew."""
        self.reached = min(self.reached, live_epoch)
        self._given_up.clear()

    def next(self, position: Position) -> PositionAnswerer | None:
        """Where a partition at `position` is answered from its next row on; None if it must wait.

        Never before `position`. An understudy is taken when its champion is quarantined or revoked, or was given up.
        Each batch asks this, and the answer changes only with the ledger or with what is in memory: so it is kept.
        """
        if self._found_at != self._models.changes:
            self._found.clear()
            self._found_at = self._models.changes
        if position not in self._found:
            self._found[position] = self._search(position)
        return self._found[position]

    def _search(self, position: Position) -> PositionAnswerer | None:
        for give_up in (False, True):
            for rollout in self._candidates(position):
                given_up = give_up and self.has_given_up(rollout.epoch, champion(rollout))
                found = self._stand(rollout, _fallback(rollout, position), give_up=given_up)
                if found:
                    return found
        return None

    def answerer(self, version: str, position: Position = ORIGIN, spare: str = "") -> PositionAnswerer | None:
        """This version as who answers; None unless it is in memory, its inputs known, and it is not blocked."""
        loaded = self._models.get(version)
        if loaded is None or self.space is None or self.is_blocked(version):
            return None
        inputs = self.space.inputs_of(loaded.scorer.manifest)
        spare = "" if self.is_blocked(spare) else spare
        return PositionAnswerer(position, version, loaded.scorer, inputs, spare) if inputs is not None else None

    def is_blocked(self, version: str) -> bool:
        """Whether this version may never answer here again, loaded or not."""
        return self._models.quarantine_of(version) is not None or self._ledger.is_revoked(version)

    def give_up(self, position: Position, needs: str = "") -> None:
        """Stop waiting for what a partition at `position` waits for, whichever partition asks, until it is here.

        `needs` is the version if it waits for another than its position asks for.
        """
        self._given_up.update(
            (rollout.epoch, needs or hoped)
            for rollout in self._candidates(position)
            if (hoped := _hoped_for(rollout, position))
        )
        self._found.clear()

    def has_given_up(self, epoch: int, version: str) -> bool:
        """Whether a partition has waited too long for this version in this epoch, and it is still not here."""
        return (epoch, version) in self._given_up

    def hopeless(self, position: Position) -> bool:
        """Whether all that a waiting partition waits for has failed to load here: another worker may fare better."""
        hoped = {_hoped_for(rollout, position) for rollout in self._candidates(position)}
        awaited = [version for version in self._ledger.wanted() if version in hoped]
        return bool(awaited) and all(map(self._models.failure_of, awaited))

    def _candidates(self, position: Position) -> list[Rollout]:
        live = self._ledger.epochs.live
        if live is None or not live.table:
            return []
        epochs = sorted({live.epoch, self.reached, position.epoch}, reverse=True)
        known = [self._ledger.epochs.was_live(epoch) for epoch in epochs if epoch >= position.epoch]
        return [rollout for rollout in known if rollout and servable(rollout)]

    def _stand(self, rollout: Rollout, fallback: int, *, give_up: bool) -> PositionAnswerer | None:
        """Who answers under this epoch: its champion, or from `fallback` 1 on its understudy."""
        for mask in range(fallback, 2):
            (answerer,) = answerers(rollout, mask)
            found = self.answerer(answerer.version, Position(rollout.epoch, mask), answerer.spare)
            if found or (mask == 0 and not give_up and not self.is_blocked(answerer.version)):
                return found
        return None


def servable(rollout: Rollout) -> bool:
    """Whether this release can answer under the epoch: several versions would need arms, which it does not have."""
    return len(rollout.table) == 1


def _fallback(rollout: Rollout, position: Position) -> int:
    """Whether a partition at `position` has fallen back under this epoch."""
    return position.fallback if rollout.epoch == position.epoch else 0


def _hoped_for(rollout: Rollout, position: Position) -> str:
    """The version that a partition at `position` waits for under this epoch; empty if there is none."""
    (answerer,) = answerers(rollout, _fallback(rollout, position))
    return answerer.version
