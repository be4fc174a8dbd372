"""What detection and comparison have in common: their logs name model versions, and strangers may name any."""

from collections.abc import Collection, Mapping, Set
from typing import Final, TypeVar

from freshet.contracts.errors import UnheardError
from freshet.contracts.follower import Follower

StateT = TypeVar("StateT")

_NAMED: Final = 5
_REMEMBERED: Final = 1000


class VersionFollower(Follower[StateT]):
    """Tells a version that never was from one whose record was not read yet.

    A version is admitted before it answers. So whoever has read the models topic to where it ends after the answer was
    read knows each version that may have answered. All others never were.
    """

    _heard: Collection[str] = ()
    """The versions that the models topic tells of; it grows."""
    _asked: frozenset[str] = frozenset()
    """Versions that the next rows name, and nothing was heard of."""
    _never: frozenset[str] = frozenset()
    """Versions that never were, of those named lately."""

    def unsure(self) -> bool:
        """See `Stateful`."""
        return bool(self._asked)

    def on_facts_read(self) -> str:
        """See `Stateful`."""
        strange = sorted(self._asked.difference(self._heard))
        before = self._never if len(self._never) < _REMEMBERED else frozenset()
        self._never, self._asked, self._trouble = before | self._asked, frozenset(), ""
        if not strange:
            return ""
        more = f" and {len(strange) - _NAMED} more" if len(strange) > _NAMED else ""
        return (
            f"answers of the versions {', '.join(strange[:_NAMED])}{more}, which the registry never admitted: somebody "
            "else wrote them. `freshet verify` names the predictions."
        )

    def measured(self) -> Mapping[str, float]:
        """See `Logic`."""
        return {"unknown_models": len(self._never.difference(self._heard))}

    def _ask_for(self, versions: Set[str], log: str) -> None:
        """Raises UnheardError unless it is sure that these versions, of which nothing was heard, never were."""
        if new := versions - self._never:
            self._asked |= new
            raise UnheardError(
                f"the {log} name model version {min(new)}, which is not known (yet): waiting until the models topic "
                "has been read to its end."
            )
