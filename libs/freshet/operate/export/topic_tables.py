"""What each role's records are as a table: which columns, of which types, and how a batch becomes rows of it."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Protocol, cast

import numpy as np
import pyarrow as pa

from freshet.avro import Column, Ragged, take
from freshet.avro.framed import FramedReader
from freshet.contracts.batch import Batch
from freshet.operate.export.arrow_columns import (
    PLACE,
    arrow_array,
    members,
    moments,
    place_arrays,
    topic_ids,
)
from freshet.operate.export.column_names import feature_columns, score_columns
from freshet.operate.export.letter_table import LetterTable
from freshet.operate.export.log_table import LogTable
from freshet.pipeline import PipelineSpec

_MAX_BYTES: Final = 4 << 20
_MOMENTS: Final = ("event_time", "labelled_at")
_TOPIC_IDS: Final = ("source_topic", "features_topic")


class TopicTable(Protocol):
    """One role's records as rows of a table."""

    @property
    def schema(self) -> Any:
        """The columns, as a pyarrow.Schema: the same for all batches."""
        ...

    def rows(self, batch: Batch) -> tuple[Any, int]:
        """A pyarrow.RecordBatch of what can be read, and how many records cannot: a stranger's, say."""
        ...


class RecordTable:
    """Records of one Avro schema, a row each: its fields, then the place.

    Of `values` each feature becomes a column, of `scores` each class (`score.CLASS`) or the `value` of a regression.
    """

    def __init__(self, record: str, spec: PipelineSpec) -> None:
        self._reader = FramedReader.of(record, max_bytes=_MAX_BYTES)
        empty = self._reader.read([None]).columns
        self._own = [name for name in empty if name not in ("values", "scores")]
        if "scores" in empty and not spec.target.classes:
            self._own.remove("label")  # which is empty in all predictions of a regression
        self._spread = _spread(empty, spec, [*self._own, *(name for name, _ in PLACE)])
        names = [*self._own, *(name for names in self._spread.values() for name in names)]
        fields = [(name, array.type) for name, array in zip(names, self._arrays(empty), strict=True)]
        self.schema = pa.schema([*fields, *PLACE])

    def rows(self, batch: Batch) -> tuple[Any, int]:
        """See `TopicTable`. A prediction with another number of scores than the pipeline's is a stranger's, too."""
        rows = self._reader.read(batch.values)
        at, columns = rows.at, rows.columns
        if "scores" in self._spread:
            fits = cast(Ragged, columns["scores"]).lengths == len(self._spread["scores"])
            if not fits.all():
                at, columns = at[fits], {name: take(column, fits) for name, column in columns.items()}
        arrays = [*self._arrays(columns), *place_arrays(batch, at)]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema), len(batch) - at.size

    def _arrays(self, columns: Mapping[str, Column]) -> list[Any]:
        own = [_array(name, columns[name]) for name in self._own]
        spread = [array for name, names in self._spread.items() for array in members(columns[name], len(names))]
        return [*own, *spread]


def _spread(columns: Mapping[str, Column], spec: PipelineSpec, taken: Collection[str]) -> dict[str, list[str]]:
    """The names of the columns that a column of lists becomes."""
    names = {"values": feature_columns(spec, taken), "scores": score_columns(spec)}
    return {name: names[name] for name in names if name in columns}


def _array(name: str, column: Column) -> Any:
    if name in _MOMENTS:
        return moments(column)
    if name in _TOPIC_IDS:
        return topic_ids(column)
    if name == "fallback":
        return pa.array(np.asarray(column) != 0)
    return arrow_array(column)


_TABLES: Final[Mapping[str, Callable[[PipelineSpec], TopicTable]]] = {
    "features": lambda spec: RecordTable("FeatureVector", spec),
    "predictions": lambda spec: RecordTable("Prediction", spec),
    "labels": lambda spec: RecordTable("Label", spec),
    "feedback": lambda spec: RecordTable("Feedback", spec),
    "outcomes": LogTable,
    "dead-letters": lambda _: LetterTable(),
}
ROLES: Final = tuple(_TABLES)
"""The roles whose records are rows of a table."""


def topic_table_of(role: str, spec: PipelineSpec) -> TopicTable:
    """The table of a role of `ROLES`."""
    return _TABLES[role](spec)
