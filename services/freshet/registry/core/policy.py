"""What a rollout policy sees, and what it may ask for."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import ClassVar

from freshet.contracts.messages import ModelVersion, Verdict
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
    records: Mapping[str, ModelVersion] = field(default_factory=dict)
    """What is known of each version: where it comes from, what it was worth, what was told of it."""
    approval_required: bool = False
    """Whether `pipeline.yaml` wants a person to approve of each rollout."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a policy makes of a version: told once, in the version's history and as a decision."""

    version: str
    verdict: Verdict
    reason: str
    inputs: Mapping[str, str]


class Policy:
    """The rule that starts rollouts by itself.

    A policy is pure and keeps no state: everything it may remember is in the view. It must settle: while nothing but
    its own rollouts changes, it asks for finitely many. How a rollout proceeds and who may abort it is not its affair.
    """

    kind: ClassVar[str]

    def choose(self, view: View) -> str | None:
        """The admitted version whose rollout is to start now; None leaves things as they are."""
        raise NotImplementedError

    def opinion(self, view: View) -> Opinion | None:  # noqa: ARG002
        """What is to be told of a version before anything is rolled out; None if nothing, or nothing more."""
        return None
