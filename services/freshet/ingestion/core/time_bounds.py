"""Bounds on times against the broker's clock, never our own: so that a replay decides alike."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from freshet.avro import Column
from freshet.contracts.arrays import Bools, Ints
from freshet.ingestion.core.validator import Validator
from freshet.pipeline import Duration

REASON = "input_event_time"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _never(row: int) -> None:
    """No row is a repetition of an earlier one."""


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

    def apply(
        self, validator: Validator, arrived_ms: Ints, first_arrived_ms: Callable[[int], int | None] = _never
    ) -> None:
        """Set aside the rows outside the bounds; `arrived_ms` is the broker's timestamp of each row of the columns.

        A row that is outside is asked for `first_arrived_ms`: a redriven event is judged by the age that it had when it
        arrived first.
        """
        times = self.in_ms(validator.columns[self.field])
        failing = self._outside(times, arrived_ms)
        if not failing.any():
            return
        arrived_ms = arrived_ms.copy()
        for row in np.flatnonzero(failing).tolist():
            first_ms = first_arrived_ms(row)
            if first_ms is not None and first_ms < arrived_ms[row]:
                arrived_ms[row] = first_ms
        failing = self._outside(times, arrived_ms)

        def sentence(row: int) -> str:
            time, arrived = int(times[row]), int(arrived_ms[row])
            limit = f"max_event_skew is {self.skew}" if time > arrived else f"max_event_age is {self.age}"
            return f"{self.field} is {written(time)}, but the broker had it at {written(arrived)}: {limit}."

        validator.refuse(failing, REASON, sentence)

    def _outside(self, times: Ints, arrived_ms: Ints) -> Bools:
        failing: Bools = times > arrived_ms + self.skew.ms
        if self.age is not None:
            failing |= times < arrived_ms - self.age.ms
        return failing


def written(time_ms: int) -> str:
    """A time as people read it, where their calendar reaches."""
    try:
        return (_EPOCH + timedelta(milliseconds=time_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        return f"{time_ms} ms after 1970"
