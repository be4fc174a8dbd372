"""What a rollout policy sees, and what it may ask for."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

from freshet.ledger.versions import VersionState


@dataclass(frozen=True, slots=True)
class View:
    """A pipeline as its policy sees it: not paused, and with no prepare open."""

    versions: Sequence[VersionState]
    """All numbered versions, the newest last."""
    serving: str
    """The version that answers; empty while none does."""
    tried: AbstractSet[str]
    """Versions that any epoch has named, whether it went live or was aborted."""


class Policy:
    """The rule that starts rollouts by itself.

    A policy is pure and keeps no state: everything it may remember is in the view. It must settle: while nothing but
    its own rollouts changes, it asks for finitely many. How a rollout proceeds and who may abort it is not its affair.
    """

    kind: ClassVar[str]

    def choose(self, view: View) -> str | None:
        """The admitted version whose rollout is to start now; None leaves things as they are."""
        raise NotImplementedError
