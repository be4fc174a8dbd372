"""The pipeline's specifications, each of which is a plan under which records are read."""

from freshet.contracts.errors import ContractError, DeletedError
from freshet.contracts.logic import Fact
from freshet.contracts.messages import PipelineRecord
from freshet.drift.core.join.join_rows import Plans, Windows
from freshet.pipeline import PipelineSpec


class PlanBook:
    """Knows all specifications by number; the newest is in force."""

    def __init__(self, pipeline: str) -> None:
        self._pipeline = pipeline
        self._begin()

    def _begin(self) -> None:
        self.newest = 0
        self.spec: PipelineSpec | None = None
        """The newest one that can be read here."""
        self.trouble = f"pipeline {self._pipeline} is not published: run `freshet apply`."
        """Why nothing can be read under the newest; empty when it can."""
        self._windows: dict[int, Windows] = {}

    @property
    def plans(self) -> Plans:
        """The windows of all; at least one must be known."""
        return self._plans

    def fold(self, fact: Fact, *, serves: bool) -> bool:
        """Take in a record of the pipelines topic; whether it is about this pipeline.

        Raises DeletedError once the pipeline is deleted while it `serves`; else one of that name was before.
        """
        if fact.role != "pipelines" or not fact.key.startswith(f"{self._pipeline}/"):
            return False
        if fact.message is None:
            if serves:
                raise DeletedError(self._pipeline)
            self._begin()
        elif isinstance(fact.message, PipelineRecord):
            self.add(fact.message)
        return True

    def add(self, record: PipelineRecord) -> None:
        """Take in one; the same again changes nothing."""
        try:
            spec = PipelineSpec.parse(record.spec)
        except ContractError as error:
            self.newest = max(self.newest, record.number)
            self.trouble = f"specification {record.number} of {record.pipeline} cannot be read here: {error}"
            return
        self._windows[record.number] = windows_of(spec)
        self._plans = Plans(self._windows)
        if record.number >= self.newest:
            self.newest, self.spec, self.trouble = record.number, spec, ""


def windows_of(spec: PipelineSpec) -> Windows:
    """How a specification wants labels to be joined."""
    label, classes = spec.label, spec.target.classes
    after = None if label.absent_after is None else label.absent_after.ms
    means = 0.0
    if label.means:
        means = float(classes.index(label.means)) if classes else float(label.means)
    return Windows(label.horizon.ms, label.grace.ms, label.wait.ms, after, means)
