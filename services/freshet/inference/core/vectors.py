"""Feature vectors of a batch as columns, and dead letters for the rows that are none."""

from dataclasses import dataclass
from typing import Final

from freshet.avro import Columns, Ragged, take
from freshet.avro.framed import FramedReader
from freshet.avro.rows import dead_letters
from freshet.contracts.arrays import Ints, Ints32
from freshet.contracts.batch import Batch
from freshet.contracts.logic import DeadLetter

RECORD: Final = "FeatureVector"
MAX_BYTES: Final = 1 << 20
"""Kafka's own default cap of a record: a vector of 250,000 features still fits."""


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """Decoded rows: `at` are their indexes in the batch, ascending; `columns` are FeatureVector's fields."""

    batch: Batch
    at: Ints
    columns: Columns

    @property
    def values(self) -> Ragged:
        """The features of each row."""
        values = self.columns["values"]
        assert isinstance(values, Ragged)
        return values

    def __len__(self) -> int:
        return self.at.size

    def take(self, rows: Ints) -> "Vectors":
        """These rows; ascending, so that as many rows as there are means all of them."""
        if rows.size == self.at.size:
            return self
        return Vectors(self.batch, self.at[rows], {name: take(column, rows) for name, column in self.columns.items()})

    def places(self) -> tuple[Ints32, Ints]:
        """Partition and offset of each row."""
        return self.batch.partitions[self.at], self.batch.offsets[self.at]


class VectorReader:
    """Decodes feature vectors, each as its own writer's schema says."""

    def __init__(self) -> None:
        self._reader = FramedReader.of(RECORD, max_bytes=MAX_BYTES)

    def read(self, batch: Batch) -> tuple[Vectors, list[DeadLetter]]:
        """The vectors of a batch, and dead letters for the rows that cannot be read, by reason."""
        rows = self._reader.read(batch.values)
        return Vectors(batch, rows.at, rows.columns), list(dead_letters(rows.refused))
