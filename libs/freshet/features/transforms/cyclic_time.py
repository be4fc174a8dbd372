"""`cyclic_time`: where in the day, week or year, so that 23:59 lies beside 00:00."""

from typing import Annotated, ClassVar, Final

import numpy as np
from pydantic import AfterValidator

from freshet.avro.columns import Columns, Nullable
from freshet.avro.event_fields import FieldKind
from freshet.contracts.arrays import Floats32
from freshet.contracts.duration import Duration
from freshet.features.transform import Domain, Transform

_DAY_MS: Final = 86_400_000
_NAMED_MS: Final = {"day": _DAY_MS, "week": 7 * _DAY_MS, "year": 31_556_952_000}
"""A year is the Gregorian mean of 365.2425 days; a week is counted from 1970's first Thursday."""


def _period_ms(period: str) -> int:
    ms = _NAMED_MS.get(period) or Duration.parse(period).ms
    if ms == 0:
        raise ValueError("a period must be longer than nothing")
    return ms


def _known(period: str) -> str:
    _period_ms(period)
    return period


class CyclicTimeTransform(Transform):
    """Sine and cosine of how far a period has gone, counted in UTC from 1970. Null gives NaN twice.

    Reads timestamps, or whole numbers of milliseconds.
    """

    kind: ClassVar[str] = "cyclic_time"
    accepts: ClassVar[frozenset[FieldKind]] = frozenset({"time", "integer"})

    of: str
    """The event field."""
    period: Annotated[str, AfterValidator(_known)]
    """`day`, `week`, `year`, or a duration such as 3600s."""
    name: str | None = None
    """First part of the two features' names, before `_sin` and `_cos`; `field_period` by default."""

    def names(self) -> tuple[str, ...]:
        name = self.name or f"{self.of}_{self.period}"
        return (f"{name}_sin", f"{name}_cos")

    def domains(self) -> tuple[Domain, ...]:
        return (Domain(low=-1, high=1),) * 2

    def inputs(self) -> tuple[str, ...]:
        return (self.of,)

    def compute(self, columns: Columns) -> Floats32:
        column = columns[self.of]
        times = column.values if isinstance(column, Nullable) else column
        assert isinstance(times, np.ndarray)
        period_ms = _period_ms(self.period)
        # First the remainder, in whole milliseconds: the angle of a time far from 1970 would have lost digits.
        angles = (times.astype(np.int64) % period_ms) * (2 * np.pi / period_ms)
        features = np.stack([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
        if isinstance(column, Nullable):
            features[~column.valid] = np.nan
        return features
