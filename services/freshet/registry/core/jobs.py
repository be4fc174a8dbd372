"""What the registry asks to be done outside its loop."""

from dataclasses import dataclass
from typing import Protocol

from freshet.contracts.messages import Candidate
from freshet.pipeline import Limits


@dataclass(frozen=True, slots=True, eq=False)
class Admit:
    """Fetch this candidate's bytes and judge them in a sandbox, against the pipeline's contract of this moment.

    Whatever is wrong with the model, missing or damaged chunks included, is a `Report` that does not admit. An error
    means that nobody could judge it (no broker, no memory for the sandbox): the registry asks again later.
    """

    candidate: Candidate
    specification: int
    """Number of the specification that the rest is from."""
    feature_names: tuple[str, ...]
    classes: tuple[str, ...]
    limits: Limits
    manifest_id: str
    offset: int
    """Of the candidate's newest record: the one that the verdict is on."""

    @property
    def pipeline(self) -> str:
        """The pipeline that the candidate is for."""
        return self.candidate.manifest.pipeline

    @property
    def digest(self) -> str:
        """The candidate's identity within its pipeline."""
        return self.candidate.manifest.digest


class Report(Protocol):
    """The result of `Admit`, as `freshet.models.admission` gives it."""

    @property
    def admitted(self) -> bool:
        """Whether the model may serve."""

    @property
    def reason(self) -> str:
        """A code for why not."""

    @property
    def detail(self) -> str:
        """The reason in a sentence."""

    @property
    def memory_bytes(self) -> int:
        """Resident memory of one loaded session."""

    @property
    def p99_us(self) -> int:
        """99th percentile of a batch's scoring time in the sandbox."""

    @property
    def unguarded(self) -> tuple[str, ...]:
        """What the sandbox could have done on this machine."""
