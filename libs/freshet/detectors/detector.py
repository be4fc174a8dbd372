"""The base class of detectors: parameters in pipeline.yaml, a state that is a value, and findings that name a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from freshet.contracts.arrays import Bools, Floats, Ints

Level = Literal["suspected", "detected"]


@dataclass(frozen=True, slots=True, eq=False)
class Minutes:
    """What n records add to minutes of predictions, in log order; each column is int64 (n,)."""

    row: Ints
    """How many rows of the labelled log lie before the record."""
    offset: Ints
    """The record's offset."""
    at_ms: Ints
    """When the record was appended."""
    start_ms: Ints
    predictions: Ints
    labelled: Ints
    labels_ms: Ints
    """The newest append time of a label up to and with the record's rows; 0 before the first."""

    def take(self, at: Bools | Ints | slice) -> "Minutes":
        """These entries."""
        columns = (self.row, self.offset, self.at_ms, self.start_ms, self.predictions, self.labelled, self.labels_ms)
        return Minutes(*(column[at] for column in columns))


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """n rows of first labels that measure something, in log order, and what records say of minutes of predictions."""

    row: Ints
    """Where each stands in the labelled log, counted from its first row."""
    offset: Ints
    """Offset of the record that holds it."""
    error: Floats
    """0 to 1, never NaN: 1 for a wrong class; the absolute error of a regression, divided by its scale."""
    promised: Floats
    """The error that the version that answered was published with; NaN where it promised nothing."""
    newcomer: Bools
    """True where the first row of a new epoch came."""
    minutes: Minutes

    def take(self, at: Bools | Ints | slice, minutes: Bools | Ints | slice) -> "Observed":
        """These rows, and these entries of minutes."""
        return Observed(
            self.row[at],
            self.offset[at],
            self.error[at],
            self.promised[at],
            self.newcomer[at],
            self.minutes.take(minutes),
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """Something has changed. Rows are numbers in the labelled log; ranges are [first, end)."""

    level: Level
    subject: str
    """What has changed."""
    statistic: float
    threshold: float
    effect: float
    """By how much, in the subject's own unit."""
    reference: tuple[int, int]
    test: tuple[int, int]
    """It was found with the row before its end."""
    offset: int
    """And with the record at this offset."""
    state_from: int
    """The row at which the state that found it began."""
    text: str
    """One sentence for people."""
    data_quality: bool = False
    """Whether what changed is the data about the answers, and not how good they are."""


class Detector(BaseModel):
    """One entry of `detectors`. Subclasses carry a `kind` and are found by it; their fields are the YAML's keys.

    Pure: a state is a value that `rows` never changes, and where rows are cut into batches makes no difference.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    kind: ClassVar[str]
    threshold_field: ClassVar[str]
    """The field that says how much it takes to find something."""

    cool_down: int = Field(default=2000, ge=0)
    """For so many rows after an alarm it raises no further one of the same level: one cause is told once."""

    def begin(self, row: int) -> Any:
        """The state before this row of the log."""
        raise NotImplementedError

    def rows(self, state: Any, observed: Observed) -> tuple[Any, Sequence[Finding]]:
        """The state behind these rows, and what was found, in order of the rows that it was found with."""
        raise NotImplementedError

    def dump(self, state: Any) -> bytes:
        """The state for a checkpoint. The same state gives the same bytes."""
        raise NotImplementedError

    def load(self, data: bytes) -> Any:
        """The state that gave these bytes."""
        raise NotImplementedError

    @property
    def parameters(self) -> dict[str, str]:
        """Its fields as text, for alarms."""
        return {name: str(value) for name, value in sorted(self.model_dump(mode="json").items()) if name != "kind"}

    @model_serializer(mode="wrap")
    def _with_kind(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"kind": self.kind, **handler(self)}
