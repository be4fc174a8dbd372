"""The labelled log as a table, a row for each of its rows: answer, truth and features beside each other."""

from typing import Any, Final

import numpy as np
import pyarrow as pa

from freshet.contracts.arrays import Ints
from freshet.contracts.batch import Batch
from freshet.contracts.messages import Outcomes
from freshet.operate.export.arrow_columns import MOMENT, Fields, moments
from freshet.operate.export.column_names import feature_columns, score_columns
from freshet.outcomes.outcome_records import records_of
from freshet.outcomes.outcome_rows import ABSENT, FIRST, KNOWN_BEFORE, NO_VALUES, REVISED, OutcomeRows
from freshet.pipeline import PipelineSpec

_MOMENTS: Final = {
    "event_time": "event_time_ms",
    "predicted_at": "predicted_ms",
    "label_arrived_at": "labelled_ms",
    "labelled_at": "claimed_ms",
}
_WHOLE: Final = ("epoch", "weight", "revision", "prediction_offset", "label_offset", "features_offset")
_FLAGS: Final = {
    "first": FIRST,
    "revised": REVISED,
    "known_before": KNOWN_BEFORE,
    "no_values": NO_VALUES,
    "absent": ABSENT,
}


class LogTable:
    """See `TopicTable`.

    `partition` and `partition_row` name a row for good; the partition is that of prediction, label and features, whose
    offsets stand beside it. `record` is the offset in the outcomes topic of the record that holds the row. `answer` and
    `label` are classes; a regression has the `value` that was answered, and the `truth`.
    """

    def __init__(self, spec: PipelineSpec) -> None:
        self._pipeline, self._width = spec.pipeline, len(spec.feature_names)
        self._classes = np.array([*spec.target.classes, None], object)  # a place of -1 is null
        self._scores = score_columns(spec)
        truth: Fields = (
            [("answer", pa.string()), ("label", pa.string())] if spec.target.classes else [("truth", pa.float64())]
        )
        own: Fields = [
            *((name, MOMENT) for name in _MOMENTS),
            *truth,
            *((name, pa.float32()) for name in self._scores),
            ("version", pa.string()),
            ("fallback", pa.bool_()),
            *((name, pa.int64()) for name in _WHOLE),
            *((name, pa.bool_()) for name in _FLAGS),
            ("partition", pa.int32()),
            ("partition_row", pa.int64()),
            ("record", pa.int64()),
            ("written_at", MOMENT),
        ]
        features = feature_columns(spec, [name for name, _ in own])
        self.schema: Any = pa.schema([*own, *((name, pa.float32()) for name in features)])

    def rows(self, batch: Batch) -> tuple[Any, int]:
        """See `TopicTable`. A record of other classes than the pipeline's is a stranger's, too."""
        found = records_of(self._pipeline, batch)
        read = [(at, record, OutcomeRows.of(record)) for at, record in found.records]
        ours = [(at, record, rows) for at, record, rows in read if self._is_of_our_classes(rows)]
        parts = [
            self._of(record, rows, int(batch.offsets[at]), int(batch.timestamps_ms[at])) for at, record, rows in ours
        ]
        table = pa.Table.from_batches(parts, self.schema).combine_chunks()
        whole = pa.RecordBatch.from_arrays([_chunk(column) for column in table.columns], schema=self.schema)
        return whole, len(batch) - len(ours)

    def _is_of_our_classes(self, rows: OutcomeRows) -> bool:
        """Whether there are as many scores as the pipeline has, and each answer and label is one of its classes."""
        places = np.concatenate([rows.answer, rows.label])
        there = (places >= -1) & (places < len(self._classes) - 1)
        return rows.scores.shape[1] == len(self._scores) and bool(there.all())

    def _of(self, record: Outcomes, rows: OutcomeRows, offset: int, at_ms: int) -> Any:
        n = len(rows)
        columns: dict[str, Any] = {name: moments(getattr(rows, source)) for name, source in _MOMENTS.items()}
        columns |= {"answer": self._names(rows.answer), "label": self._names(rows.label), "truth": pa.array(rows.truth)}
        columns |= {name: pa.array(rows.scores[:, at]) for at, name in enumerate(self._scores)}
        columns["version"] = pa.array([rows.versions[code] for code in rows.version.tolist()], pa.string())
        columns["fallback"] = pa.array(rows.fallback != 0)
        columns |= {name: pa.array(getattr(rows, name)) for name in _WHOLE}
        absent = rows.flags & ABSENT != 0
        columns |= {name: pa.array(getattr(rows, name), mask=absent) for name in ("label_offset", "revision")}
        columns |= {name: pa.array(rows.flags & flag != 0) for name, flag in _FLAGS.items()}
        columns["partition"] = pa.array(np.full(n, record.partition, np.int32))
        columns["partition_row"] = pa.array(record.first_row + np.arange(n))
        columns["record"] = pa.array(np.full(n, offset))
        columns["written_at"] = moments(np.full(n, at_ms))
        own = [columns[name] for name in self.schema.names[: -self._width]]
        return pa.RecordBatch.from_arrays([*own, *self._features(rows)], schema=self.schema)

    def _features(self, rows: OutcomeRows) -> list[Any]:
        """The values; null where the record is of a specification that lacked the feature."""
        there = min(rows.values.shape[1], self._width)
        values = [pa.array(np.ascontiguousarray(rows.values[:, at])) for at in range(there)]
        return [*values, *(pa.nulls(len(rows), pa.float32()) for _ in range(self._width - there))]

    def _names(self, places: Ints) -> Any:
        return pa.array(self._classes[places].tolist(), pa.string())


def _chunk(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)
