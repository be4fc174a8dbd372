"""What the registry asks to be done outside its loop."""

from dataclasses import dataclass

from freshet.contracts.logic import Job
from freshet.contracts.messages import Candidate
from freshet.models.verdict import AdmissionVerdict
from freshet.pipeline import Limits


@dataclass(frozen=True, slots=True, eq=False)
class Admit(Job[AdmissionVerdict]):
    """Fetch this candidate's bytes and judge them in a sandbox, against the pipeline's contract of this moment.

    Whatever is wrong with the model, missing or damaged chunks included, is a verdict that does not admit. An error
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
    def queue(self) -> str:
        """See `Job`. One admission at a time for each pipeline."""
        return self.pipeline

    @property
    def pipeline(self) -> str:
        """The pipeline that the candidate is for."""
        return self.candidate.manifest.pipeline

    @property
    def digest(self) -> str:
        """The candidate's identity within its pipeline."""
        return self.candidate.manifest.digest
