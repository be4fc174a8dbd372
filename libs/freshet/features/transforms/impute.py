"""`impute`: a fixed number where there is none."""

from typing import ClassVar

import numpy as np

from freshet.avro.columns import Columns
from freshet.avro.event_fields import FieldKind
from freshet.contracts.arrays import Floats32
from freshet.features.event_columns import Finite32, numbers, one_column
from freshet.features.transform import Domain, Transform


class ImputeTransform(Transform):
    """A number as it is, and `value` for null and for NaN (which only gets this far with the rule `finite: false`)."""

    kind: ClassVar[str] = "impute"
    accepts: ClassVar[frozenset[FieldKind]] = frozenset({"integer", "float", "boolean"})

    of: str
    """The event field."""
    value: Finite32
    """What stands for no value. A number learnt from data belongs into the model's graph instead."""
    name: str | None = None
    """Name of the feature; that of the field by default."""

    def names(self) -> tuple[str, ...]:
        return (self.name or self.of,)

    def domains(self) -> tuple[Domain, ...]:
        return (Domain(blank=False),)

    def inputs(self) -> tuple[str, ...]:
        return (self.of,)

    def compute(self, columns: Columns) -> Floats32:
        values = numbers(columns[self.of])
        return one_column(np.where(np.isnan(values), self.value, values))
