"""Who had to answer: the version that a place in history names, or the epoch's understudy for rows too old for it."""

from collections.abc import Mapping, Sequence

from freshet.contracts.messages import Rollout
from freshet.contracts.position import Position

UNKNOWN_SPEC = -1
"""Specification of a feature vector that is not there any more."""


class Answering:
    """What the rollouts and the models' inputs say about each answer; only epochs that went live explain any."""

    def __init__(self, rollouts: Sequence[Rollout], first_specs: Mapping[str, int]) -> None:
        """`first_specs`: see `Evidence`."""
        self._first_specs = first_specs
        self._ladders: dict[Position, list[str]] = {}
        for rollout in rollouts:
            if rollout.phase == "live" and len(rollout.table) == 1:
                champion = rollout.table[0].version
                spares = [rollout.understudies[champion]] if champion in rollout.understudies else []
                self._ladders[Position(rollout.epoch, 0)] = [champion, *spares]
                self._ladders[Position(rollout.epoch, 1)] = spares

    def permitted(self, position: Position, spec_version: int) -> set[str]:
        """The versions that may answer a vector of this specification there: one, or none.

        The first that can read the vector, of the version that is named there and, before the fallback, its understudy;
        a vector that none of them can read must be a dead letter. Of UNKNOWN_SPEC, all that may for some specification.
        """
        ladder = self._ladders.get(position, [])
        if spec_version != UNKNOWN_SPEC:
            return set(self._first_able(ladder, spec_version))
        return {found for version in ladder for found in self._first_able(ladder, self._needed(version))}

    def _first_able(self, ladder: Sequence[str], spec_version: int) -> list[str]:
        return [version for version in ladder if self._needed(version) <= spec_version][:1]

    def _needed(self, version: str) -> int:
        return self._first_specs.get(version, 0)
