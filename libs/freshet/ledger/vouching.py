"""Whether records of epochs and versions are believed: what a ledger asks before an epoch counts."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from freshet.contracts.messages import ModelVersion, Rollout

Standing = Literal["signed", "unknown", "refused"]
"""signed: somebody whom we trust has written it. unknown: it is not, and nobody can say yet whether it must be.
refused: it must be, and is not."""


class Doubt(NamedTuple):
    """Why a record of an epoch may not be in force."""

    why: str
    """In a sentence."""
    standing: Standing
    once: bool = False
    """Whether a key signed it that was trusted once, and is revoked."""


class Vouching(Protocol):
    """Judges records by what they bear. Answers may change, as when a key is revoked; then `reconsider` is due."""

    @property
    def required(self) -> bool:
        """Whether the pipeline answers with signed models only, as far as is known."""

    def against_epoch(self, record: Rollout) -> Doubt | None:
        """Why this record may not be in force; None if it may."""

    def against_version(self, record: ModelVersion) -> str:
        """Why no new epoch may name this version, in a sentence; empty if one may."""

    def knows_builder(self, record: ModelVersion) -> bool:
        """Whether a key has signed this version that is or was trusted, so that it is no stranger's; or need not."""


class BelieveAll:
    """For whoever only looks, and for pipelines without signatures."""

    required = False
    """See `Vouching`."""

    def against_epoch(self, record: Rollout) -> Doubt | None:  # noqa: ARG002
        """See `Vouching`."""
        return None

    def against_version(self, record: ModelVersion) -> str:  # noqa: ARG002
        """See `Vouching`."""
        return ""

    def knows_builder(self, record: ModelVersion) -> bool:  # noqa: ARG002
        """See `Vouching`."""
        return True


@dataclass(frozen=True, slots=True)
class Disbelieved:
    """A record of an epoch that does not count, and why."""

    record: Rollout
    timestamp_ms: int
    doubt: Doubt
