"""Which position in history answers a partition next: the epoch rules, and nothing else."""

from freshet.contracts.messages import Rollout
from freshet.contracts.position import Position
from freshet.inference.core.resident_models import ResidentModels
from freshet.ledger.epochs import answerers, champion, understudy
from freshet.ledger.ledger import PipelineLedger
from freshet.models.input_columns import FeatureSpace


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
        self.space: FeatureSpace | None = None
        self.reached = 0

    def advance(self) -> None:
        """Note it if the newest live epoch can be answered by now, and withdraw what was given up but has arrived."""
        live = self._ledger.epochs.live
        if live and servable(live) and self._stand(live, 0, give_up=False):
            self.reached = live.epoch
        self._given_up = {(epoch, version) for epoch, version in self._given_up if not self.usable(version)}

    def next(self, position: Position) -> Position | None:
        """Where a partition at `position` is answered from its next row on; None if it must wait.

        Never before `position`. An understudy is taken when its champion is quarantined or revoked, or was given up.
        """
        for give_up in (False, True):
            for rollout in self._candidates(position):
                given_up = give_up and self.has_given_up(rollout.epoch, champion(rollout))
                found = self._stand(rollout, _fallback(rollout, position), give_up=given_up)
                if found:
                    return found
        return None

    def answers_at(self, position: Position) -> tuple[str, str]:
        """Who answers at a position that `next` returned, and who answers rows that this version lacks columns of.

        The second is empty if nobody may.
        """
        (answerer,) = self._ledger.epochs.answerers(position)
        return answerer.version, "" if self.is_blocked(answerer.spare) else answerer.spare

    def usable(self, version: str) -> bool:
        """Whether this version may answer now: in memory, its inputs known, neither quarantined nor revoked."""
        loaded = self._models.get(version)
        if loaded is None or self.space is None or self.is_blocked(version):
            return False
        return self.space.knows(loaded.scorer.manifest)

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

    def _stand(self, rollout: Rollout, fallback: int, *, give_up: bool) -> Position | None:
        version = champion(rollout)
        if fallback == 0:
            if self.usable(version):
                return Position(rollout.epoch, 0)
            if not self.is_blocked(version) and not give_up:
                return None
        return Position(rollout.epoch, 1) if self.usable(understudy(rollout)) else None


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
