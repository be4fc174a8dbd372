"""Bounds on times against the broker's clock, never our own: so that a replay decides alike."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.contracts.codec import Column
from freshet.contracts.pipeline import Duration
from freshet.ingestion.core.screen import Screen

REASON = "input_event_time"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TimeBounds:
    """How far a time field may lie ahead of the record's arrival, and before it unless `age` is None."""

    field: str
    skew: Duration
    age: Duration | None = None
    ticks_per_ms: int = 1

    def in_ms(self, column: Column) -> Ints:
        """The field in whole milliseconds since 1970, rounded down; int64 (n,)."""
        assert isinstance(column, np.ndarray)
        return column.astype(np.int64) // self.ticks_per_ms

    def apply(self, screen: Screen, arrived_ms: Ints) -> None:
        """Set aside the rows outside the bounds; `arrived_ms` is the broker's timestamp of each row of the columns."""
        times = self.in_ms(screen.columns[self.field])

        def sentence(row: int) -> str:
            time, arrived = int(times[row]), int(arrived_ms[row])
            limit = f"max_event_skew is {self.skew}" if time > arrived else f"max_event_age is {self.age}"
            return f"{self.field} is {written(time)}, but the broker had it at {written(arrived)}: {limit}."

        failing = times > arrived_ms + self.skew.ms
        if self.age is not None:
            failing |= times < arrived_ms - self.age.ms
        screen.refuse(failing, REASON, sentence)


def written(time_ms: int) -> str:
    """A time as people read it, where their calendar reaches."""
    try:
        return (_EPOCH + timedelta(milliseconds=time_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        return f"{time_ms} ms after 1970"
