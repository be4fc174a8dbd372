"""`one_hot`: a category as one column per known value."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field

from freshet.avro.columns import Columns, Nullable
from freshet.avro.event_fields import EventField, FieldKind
from freshet.contracts.arrays import Floats32
from freshet.features.event_columns import ABSENT, Vocabulary
from freshet.features.transform import Domain, Transform


def _of_one_type(values: Any) -> Any:
    if isinstance(values, tuple) and not any(all(type(value) is kind for value in values) for kind in (str, int)):
        raise ValueError("must be all text (in quotes where YAML would read something else) or all whole numbers")
    return values


def _distinct(values: tuple[int | str, ...]) -> tuple[int | str, ...]:
    repeated = [value for index, value in enumerate(values) if value in values[:index]]
    if repeated:
        raise ValueError(f"{repeated[0]!r} is listed twice")
    return values


class OneHotTransform(Transform):
    """1 in the column of the row's value, else 0. Null is all zeros; so is an unknown value unless `other` is set."""

    kind: ClassVar[str] = "one_hot"
    accepts: ClassVar[frozenset[FieldKind]] = frozenset({"text", "enum", "integer"})

    of: str
    """The event field."""
    vocabulary: Annotated[
        tuple[int | str, ...], Field(min_length=1), BeforeValidator(_of_one_type), AfterValidator(_distinct)
    ]
    """The known values, in the order of their columns. Fixed: a new value is a new transform with `since`."""
    other: bool = False
    """Add a column that is 1 for values outside the vocabulary; off by default, as most categories are closed."""
    name: str | None = None
    """First part of the features' names, `name=value`; that of the field by default."""

    def names(self) -> tuple[str, ...]:
        values = [*self.vocabulary, *(["other"] if self.other else [])]
        return tuple(f"{self.name or self.of}={value}" for value in values)

    def domains(self) -> tuple[Domain, ...]:
        return (Domain(low=0, high=1, whole=True, blank=False),) * len(self.names())

    def inputs(self) -> tuple[str, ...]:
        return (self.of,)

    def disagreement(self, fields: Mapping[str, EventField]) -> str | None:
        return fields[self.of].choices_fault(self.vocabulary)

    @cached_property
    def _known(self) -> Vocabulary:
        return Vocabulary(self.vocabulary)

    def compute(self, columns: Columns) -> Floats32:
        column = columns[self.of]
        positions = self._known.find(column)
        if self.other:
            absent = positions == ABSENT
            if isinstance(column, Nullable):
                absent &= column.valid
            positions = np.where(absent, len(self.vocabulary), positions)
        features: Floats32 = np.zeros((positions.size, len(self.names())), np.float32)
        rows = np.flatnonzero(positions != ABSENT)
        features[rows, positions[rows]] = 1
        return features
