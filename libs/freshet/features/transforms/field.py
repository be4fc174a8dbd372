"""`field`: the number itself."""

from typing import ClassVar

import numpy as np

from freshet.avro.columns import Columns, Nullable
from freshet.avro.event_fields import FieldKind
from freshet.contracts.arrays import Floats32
from freshet.features.event_columns import Finite32, numbers, one_column
from freshet.features.transform import Transform


class FieldTransform(Transform):
    """A number as it is; true is 1 and false 0. Null is NaN, or `default` if there is one; NaN stays NaN."""

    kind: ClassVar[str] = "field"
    accepts: ClassVar[frozenset[FieldKind]] = frozenset({"integer", "float", "boolean"})

    of: str
    """The event field."""
    name: str | None = None
    """Name of the feature; that of the field by default."""
    default: Finite32 | None = None
    """What stands for null; none by default, because trees and learned imputers use the absence itself."""

    def names(self) -> tuple[str, ...]:
        return (self.name or self.of,)

    def inputs(self) -> tuple[str, ...]:
        return (self.of,)

    def compute(self, columns: Columns) -> Floats32:
        column = columns[self.of]
        values = numbers(column)
        if self.default is not None and isinstance(column, Nullable):
            values = np.where(column.valid, values, self.default)
        return one_column(values)
