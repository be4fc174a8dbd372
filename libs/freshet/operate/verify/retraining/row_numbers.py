"""Which rows each record of the labelled log holds, in numbers, and the rows between two numbers."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from freshet.avro.control import decode
from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Outcomes
from freshet.outcomes.log_rows import Stretch, stretch_of
from freshet.runtime.bus.protocol import Bus, Place
from freshet.runtime.reading import everything


@dataclass(slots=True)
class RowNumbers:
    """The labelled log as it is now, without its rows."""

    first_ms: int = 0
    """When the first record that is left was appended; 0 if there is none."""
    first_row: int = 0
    """Rows that retention has taken."""
    offsets: list[int] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    """Behind each record: the number of the next row."""

    @property
    def rows(self) -> int:
        """How many rows there ever were."""
        return self.ends[-1] if self.ends else 0

    def at(self, offset: int) -> int:
        """The place of the record at this offset in the lists; -1 if there is none."""
        place = int(np.searchsorted(self.offsets, offset))
        return place if place < len(self.offsets) and self.offsets[place] == offset else -1

    def stretch(self, bus: Bus, from_row: int, through: int, *, width: int, classes: int) -> Stretch:
        """The rows from this one on to those of the record at `through`, with some before them.

        Reads the log again. Raises ContractError if a record is damaged.
        """
        end_row = self.ends[self.at(through)]
        start = self.offsets[int(np.searchsorted(self.ends, from_row, side="right"))]
        records = [record for offset, _, record in _records(bus, start) if offset <= through]
        return stretch_of(records, end_row, width=width, classes=classes)


def row_numbers(bus: Bus) -> RowNumbers:
    """Read the log once. A record that cannot be read is left out: whoever judges the log itself names it."""
    found, firsts, counts = RowNumbers(), dict[int, int](), list[int]()
    for offset, at_ms, record in _records(bus, None):
        firsts.setdefault(record.partition, record.first_row)
        found.offsets.append(offset)
        found.times_ms.append(at_ms)
        counts.append(record.rows)
    found.first_row = sum(firsts.values())
    found.ends = (found.first_row + np.cumsum(counts, dtype=np.int64)).tolist()
    found.first_ms = found.times_ms[0] if found.times_ms else 0
    return found


def _records(bus: Bus, start: int | None) -> Iterator[tuple[int, int, Outcomes]]:
    for batch in everything(bus, "outcomes", None if start is None else {Place("outcomes", 0): start}):
        rows = zip(batch.offsets.tolist(), batch.timestamps_ms.tolist(), batch.values, strict=True)
        for offset, at_ms, value in rows:
            try:
                record = decode("outcomes", value or b"")
            except ContractError:
                continue
            if isinstance(record, Outcomes):
                yield offset, at_ms, record
