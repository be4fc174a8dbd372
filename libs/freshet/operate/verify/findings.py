"""What a judgement is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from freshet.contracts.arrays import Ints
from freshet.operate.verify.places import place

EXAMPLES: Final = 5

Verdict = Literal["kept", "broken", "pending", "nothing"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: how much was looked at, what broke it, and a few examples."""

    promise: str
    check: str
    looked_at: int
    breaches: int
    examples: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True if nothing broke this check."""
        return self.breaches == 0


@dataclass(frozen=True, slots=True)
class Unjudged:
    """So many records on this topic could not be judged, and why."""

    role: str
    count: int
    why: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """All findings, how many inputs are still on their way, and what could not be judged."""

    findings: tuple[Finding, ...]
    answered: int
    dead: int
    pending: int
    inputs: Mapping[str, int]
    """How many records there are, by the role of the input topic."""
    judged: int
    """How many of them can be judged, now or once they are answered; the others are named in `unjudged`."""
    unjudged: tuple[Unjudged, ...] = ()
    warnings: tuple[str, ...] = ()
    """What somebody else should know: no breach of Freshet's promises."""
    unread: int = 0
    """Predictions and labels that no drift service has read yet, and what these have still to say of them."""
    to_train: int = 0
    """Trainings that have begun and not ended, and alarms and commands that retraining has still to answer."""

    @property
    def ok(self) -> bool:
        """True if no check was broken."""
        return all(finding.ok for finding in self.findings)

    @property
    def under_way(self) -> int:
        """All that is still to come."""
        return self.pending + self.unread + self.to_train

    @property
    def verdict(self) -> Verdict:
        """Broken, or nothing that can be judged, or something under way, or kept."""
        if not self.ok:
            return "broken"
        if not self.judged:
            return "nothing"
        return "pending" if self.under_way else "kept"


def finding(promise: str, check: str, looked_at: int, broken: Ints) -> Finding:
    """A finding whose examples are places."""
    return listed(promise, check, looked_at, [place(number) for number in broken[:EXAMPLES].tolist()], len(broken))


def listed(promise: str, check: str, looked_at: int, broken: list[str], count: int | None = None) -> Finding:
    """A finding whose examples say themselves what is wrong."""
    return Finding(promise, check, looked_at, len(broken) if count is None else count, tuple(broken[:EXAMPLES]))
