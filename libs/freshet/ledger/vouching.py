"""Whether records of epochs and versions are believed: what a ledger asks before an epoch counts."""

from dataclasses import dataclass
from typing import Protocol

from freshet.contracts.messages import ModelVersion, Rollout


class Vouching(Protocol):
    """Judges records by what they bear. Answers may change, as when a key is revoked; then `reconsider` is due."""

    def against_epoch(self, record: Rollout) -> str:
        """Why this record may not be in force, in a sentence; empty if it may."""

    def against_version(self, record: ModelVersion) -> str:
        """Why no new epoch may name this version, in a sentence; empty if one may."""


class BelieveAll:
    """For whoever only looks, and for pipelines without signatures."""

    def against_epoch(self, record: Rollout) -> str:  # noqa: ARG002
        """See `Vouching`."""
        return ""

    def against_version(self, record: ModelVersion) -> str:  # noqa: ARG002
        """See `Vouching`."""
        return ""


@dataclass(frozen=True, slots=True)
class Disbelieved:
    """A record of an epoch that does not count, and why."""

    record: Rollout
    timestamp_ms: int
    why: str
