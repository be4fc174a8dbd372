"""What events and labels have in common as records: the answer to a batch."""

from dataclasses import dataclass
from typing import Protocol

from freshet.avro.rows import RefusedRow, Rows
from freshet.contracts.arrays import Ints
from freshet.contracts.batch import Batch


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What becomes of decoded rows: records for the rows `at`, ascending, and all refused rows; together every row."""

    at: Ints
    keys: list[bytes]
    values: list[bytes]
    refused: list[RefusedRow]


class RecordConverter(Protocol):
    """The way from the records of one role to those of another, for one version of a pipeline."""

    @property
    def publishes(self) -> str:
        """The role it writes."""
        ...

    def read(self, batch: Batch) -> Rows:
        """The records of the batch as columns, and those that cannot be read."""
        ...

    def answer(self, batch: Batch, rows: Rows, topic_id: bytes) -> Answer:
        """What becomes of these rows of the batch, which was read from the topic of that id."""
        ...
