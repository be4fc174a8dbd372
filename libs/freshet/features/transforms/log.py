"""`log`: large and small amounts on one scale."""

from typing import ClassVar

import numpy as np

from freshet.avro.columns import Columns
from freshet.avro.event_fields import FieldKind
from freshet.contracts.arrays import Floats32
from freshet.features.event_columns import numbers, one_column
from freshet.features.transform import Transform


class LogTransform(Transform):
    """sign(x) · ln(1 + |x|): defined everywhere, 0 at 0, odd. Null and NaN give NaN."""

    kind: ClassVar[str] = "log"
    accepts: ClassVar[frozenset[FieldKind]] = frozenset({"integer", "float"})

    of: str
    """The event field."""
    name: str | None = None
    """Name of the feature; `log_` and the field's by default."""

    def names(self) -> tuple[str, ...]:
        return (self.name or f"log_{self.of}",)

    def inputs(self) -> tuple[str, ...]:
        return (self.of,)

    def compute(self, columns: Columns) -> Floats32:
        values = numbers(columns[self.of])
        return one_column(np.copysign(np.log1p(np.abs(values)), values))
