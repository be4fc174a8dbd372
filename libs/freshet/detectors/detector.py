"""The base class of detectors: parameters in pipeline.yaml, a state that is a value, and findings that name a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from freshet.contracts.arrays import Bools, Floats, Ints
from freshet.detectors.alarming_part import AlarmingPart

Level = Literal["suspected", "detected"]


@dataclass(frozen=True, slots=True, eq=False)
class Minutes:
    """What n records add to minutes of predictions, in log order; each column is int64 (n,)."""

    row: Ints
    """How many rows of the labelled log lie before each record."""
    offset: Ints
    """The record's offset."""
    at_ms: Ints
    """When each record was appended."""
    start_ms: Ints
    predictions: Ints
    labelled: Ints
    labels_ms: Ints
    """The newest append time of a label in the log up to and with each record; 0 before the first label."""

    def take(self, at: Bools | Ints | slice) -> "Minutes":
        """These entries."""
        columns = (self.row, self.offset, self.at_ms, self.start_ms, self.predictions, self.labelled, self.labels_ms)
        return Minutes(*(column[at] for column in columns))


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """n rows with first labels, in log order, and what records say of minutes of predictions."""

    row: Ints
    """The number of each row in the labelled log."""
    offset: Ints
    """Offset of the record that holds each row."""
    error: Floats
    """0 to 1, never NaN: 1 for a wrong class; the absolute error of a regression, divided by its scale."""
    promised: Floats
    """The error that the answering version was published with; NaN where none was given."""
    newcomer: Bools
    """True at the first row of a new epoch."""
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
    """The range of rows that the finding rests on; it was found with the last of them."""
    offset: int
    """The offset of the record with which it was found."""
    state_from: int
    """The row at which the state that found it began."""
    text: str
    """One sentence for people."""
    data_quality: bool = False
    """True if the flow of labels or predictions has changed, and not how good the answers are."""


class Detector(AlarmingPart):
    """One entry of `detectors`. Subclasses carry a `kind` and are found by it; their fields are the YAML's keys.

    Pure: a state is a value, which `rows` never changes. It makes no difference how rows are divided into batches.
    """

    def begin(self, row: int) -> Any:
        """The state of a detector that begins at this row of the log."""
        raise NotImplementedError

    def rows(self, state: Any, observed: Observed) -> tuple[Any, Sequence[Finding]]:
        """The state after these rows, and the findings, in the order of the rows that led to them."""
        raise NotImplementedError

    def dump(self, state: Any) -> bytes:
        """The state for a checkpoint. The same state gives the same bytes."""
        raise NotImplementedError

    def load(self, data: bytes) -> Any:
        """The state that gave these bytes."""
        raise NotImplementedError
