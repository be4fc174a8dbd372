"""Which rows each record of the labelled log holds, in numbers, and the rows between two numbers."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile

import numpy as np

from freshet.contracts.messages import Outcomes
from freshet.outcomes.log_rows import Stretch, early_ms, stretch_of
from freshet.outcomes.outcome_records import records_of
from freshet.runtime.bus.protocol import Bus, Place
from freshet.runtime.reading import everything


@dataclass(slots=True)
class RowNumbers:
    """The labelled log as it is now, without its rows."""

    pipeline: str
    first_ms: int = 0
    """When the first record that is left was appended; 0 if there is none."""
    first_row: int = 0
    """Rows that retention has taken."""
    offsets: list[int] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    """Behind each record: the number of the next row."""
    early_ms: list[int | None] = field(default_factory=list)
    """See `freshet.outcomes.log_rows.early_ms`."""

    @property
    def rows(self) -> int:
        """How many rows there ever were."""
        return self.ends[-1] if self.ends else 0

    def at(self, offset: int) -> int:
        """The place of the record at this offset in the lists; -1 if there is none."""
        place = bisect_left(self.offsets, offset)
        return place if place < len(self.offsets) and self.offsets[place] == offset else -1

    def stretch(self, bus: Bus, from_row: int, through: int, *, width: int, classes: int) -> Stretch:
        """The rows from this one on to those of the record at `through`, with some before them.

        Reads the log again. Raises ContractError if a record is damaged.
        """
        end_row = self.ends[self.at(through)]
        start = self.offsets[bisect_right(self.ends, from_row)]
        found = takewhile(lambda one: one[0] <= through, _records(bus, self.pipeline, start))
        return stretch_of([record for _, _, record in found], end_row, width=width, classes=classes)

    def late_rows(self, place: int) -> int:
        """How late labels were when the record at this place was the newest: rows since its predictions were made."""
        asked_ms = self.early_ms[place] if self.early_ms else None
        if asked_ms is None:
            return 0
        then = min(bisect_left(self.times_ms, asked_ms), place + 1)
        return self.ends[place] - (self.ends[then - 1] if then else 0)


def row_numbers(bus: Bus, pipeline: str) -> RowNumbers:
    """Read the log once. A record that cannot be read is left out: whoever judges the log itself names it."""
    found, firsts, counts = RowNumbers(pipeline), dict[int, int](), list[int]()
    for offset, at_ms, record in _records(bus, pipeline, None):
        firsts.setdefault(record.partition, record.first_row)
        found.offsets.append(offset)
        found.times_ms.append(at_ms)
        found.early_ms.append(early_ms(record))
        counts.append(record.rows)
    found.first_row = sum(firsts.values())
    found.ends = (found.first_row + np.cumsum(counts, dtype=np.int64)).tolist()
    found.first_ms = found.times_ms[0] if found.times_ms else 0
    return found


def _records(bus: Bus, pipeline: str, start: int | None) -> Iterator[tuple[int, int, Outcomes]]:
    for batch in everything(bus, "outcomes", None if start is None else {Place("outcomes", 0): start}):
        for row, record in records_of(pipeline, batch).records:
            yield int(batch.offsets[row]), int(batch.timestamps_ms[row]), record
