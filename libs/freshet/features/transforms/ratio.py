"""`ratio`: one amount in units of another."""

from typing import ClassVar

import numpy as np

from freshet.avro.columns import Columns
from freshet.avro.event_fields import FieldKind
from freshet.contracts.arrays import Floats32
from freshet.features.event_columns import Finite32, numbers, one_column
from freshet.features.transform import Transform


class RatioTransform(Transform):
    """`of` / `per`. A divisor of 0 gives `default`; null or NaN on either side gives NaN."""

    kind: ClassVar[str] = "ratio"
    accepts: ClassVar[frozenset[FieldKind]] = frozenset({"integer", "float"})

    of: str
    """The event field above the line."""
    per: str
    """The event field below the line."""
    name: str | None = None
    """Name of the feature; `of_per_per` with the fields' names by default."""
    default: Finite32 | None = None
    """What x/0 is; NaN ("no value") by default, because any number would be an invention."""

    def names(self) -> tuple[str, ...]:
        return (self.name or f"{self.of}_per_{self.per}",)

    def inputs(self) -> tuple[str, ...]:
        return (self.of, self.per)

    def compute(self, columns: Columns) -> Floats32:
        above, below = numbers(columns[self.of]), numbers(columns[self.per])
        undefined = (below == 0) & ~np.isnan(above)
        with np.errstate(all="ignore"):
            values = above / below
        values[undefined] = np.nan if self.default is None else self.default
        return one_column(values)
