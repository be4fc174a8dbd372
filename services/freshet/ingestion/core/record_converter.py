"""What events and labels have in common as records: text columns, keys, and the answer to a batch."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from freshet.avro import Column, Nullable, NumericColumn, Strings, concat
from freshet.avro.rows import RefusedRow, Rows
from freshet.contracts.arrays import Ints
from freshet.contracts.batch import Batch

_INT64_DIGITS = 20


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


def text_of(column: Column) -> Strings:
    """An identifier as text: whole numbers in decimal, null as empty."""
    if isinstance(column, Nullable):
        text = text_of(column.values)
        return Strings(text.data, text.starts, np.where(column.valid, text.lengths, 0))
    if isinstance(column, Strings):
        return column
    if isinstance(column, np.ndarray):
        return _decimal(column)
    raise TypeError(f"a {type(column).__name__} column holds no identifiers.")


def filled(entities: Strings, event_ids: Strings) -> Strings:
    """The entities, with the event's own id where there is none: such an event belongs to nobody else."""
    empty = entities.lengths == 0
    if not empty.any():
        return entities
    rows = np.arange(len(entities))
    return concat([entities, event_ids]).take(np.where(empty, rows + len(entities), rows))


def _decimal(numbers: NumericColumn) -> Strings:
    digits = numbers.astype(f"S{_INT64_DIGITS}")  # the minus sign and 19 digits
    lengths = np.strings.str_len(digits).astype(np.int64)
    starts = np.arange(numbers.size, dtype=np.int64) * _INT64_DIGITS
    return Strings(digits.view(np.uint8), starts, lengths)
