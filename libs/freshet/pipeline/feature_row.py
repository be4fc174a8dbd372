"""Events → the ordered row of numbers that models read. Serving and training both make their features here."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from freshet.avro.columns import Column, Columns, Nullable
from freshet.avro.event_fields import event_fields
from freshet.avro.own_schemas import Schema
from freshet.contracts.arrays import Floats32
from freshet.pipeline import PipelineSpec


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row whose features no model may see, and a sentence with the feature and its value."""

    row: int
    detail: str


class FeatureRow:
    """A pipeline's feature specification, ready to compute. Columns are those of its event schema."""

    def __init__(self, spec: PipelineSpec, event_schema: Schema) -> None:
        self._transforms = spec.features.columns
        self._names = spec.feature_names
        fields = event_fields(event_schema)
        inputs = {name for transform in self._transforms for name in transform.inputs()}
        self._ticks_per_ms = {name: fields[name].ticks_per_ms for name in inputs if fields[name].ticks_per_ms > 1}

    def compute(self, columns: Columns) -> tuple[Floats32, list[Refusal]]:
        """All features of the rows, float32 (n, width), and the rows in which one is infinite, each once.

        NaN means that a feature has no value there. The same row gives the same bits in any batch.
        """
        columns = self._in_milliseconds(columns)
        # Producers may send any bits as a float. What numpy would warn of is no mistake here, and is judged below.
        with np.errstate(all="ignore"):
            values = np.concatenate([transform.compute(columns) for transform in self._transforms], axis=1)
        infinite = np.isinf(values)
        if not infinite.any():
            return values, []
        rows = np.flatnonzero(infinite.any(axis=1)).tolist()
        firsts = infinite[rows].argmax(axis=1).tolist()
        return values, [
            Refusal(row, f"feature {self._names[at]!r} is infinite: the value is beyond what float32 can hold.")
            for row, at in zip(rows, firsts, strict=True)
        ]

    def _in_milliseconds(self, columns: Columns) -> Mapping[str, Column]:
        """Transforms read milliseconds: finer timestamps are rounded down to them."""
        finer = {name: _divided(columns[name], ticks) for name, ticks in self._ticks_per_ms.items()}
        return {**columns, **finer} if finer else columns


def _divided(column: Column, ticks: int) -> Column:
    if isinstance(column, Nullable):
        return Nullable(_divided(column.values, ticks), column.valid)
    assert isinstance(column, np.ndarray)
    return column // ticks
