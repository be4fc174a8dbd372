"""Rows as records of a pipeline's events topic, and truths about them as records of its feedback topic."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from freshet.avro import Encoder
from freshet.avro.own_schemas import current_schema, schema_id
from freshet.client.client_errors import RowError
from freshet.client.python_rows import Rows, RowShape, row_columns, shaped_events
from freshet.contracts.messages import PipelineRecord
from freshet.operate.event_values import event_encoder, plain
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.murmur2 import partition_for

_FEEDBACK: Final = "Feedback"


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one topic as columns, in the order of their rows."""

    role: str
    ids: Sequence[str]
    """The events' ids."""
    entities: Sequence[str]
    keys: Sequence[bytes]
    values: Sequence[bytes]

    def partitions(self, count: int) -> list[int]:
        """Where Java would put them in a topic of so many partitions."""
        return [partition_for(key, count) for key in self.keys]

    def part(self, first: int, end: int) -> "Records":
        """Those of some rows."""
        rows = slice(first, end)
        return Records(self.role, self.ids[rows], self.entities[rows], self.keys[rows], self.values[rows])


class RecordMaker:
    """Makes records for one pipeline as it is published now."""

    def __init__(self, record: PipelineRecord) -> None:
        """Raises ContractError for a pipeline whose events Freshet cannot write: those with a decoder of their own."""
        self.spec = PipelineSpec.parse(record.spec)
        schema, feedback = json.loads(record.event_schema), current_schema(_FEEDBACK)
        self._event, self._label = RowShape(schema), RowShape(feedback)
        self._encode = event_encoder(self.spec, schema, record.event_schema_id)
        self._encode_feedback = Encoder(feedback, schema_id(_FEEDBACK)).encode

    def events(self, rows: Rows, *, now_ms: int, new_id: Callable[[], str]) -> Records:
        """See `event_columns`. Raises RowError."""
        columns = shaped_events(rows, self.spec, self._event, now_ms=now_ms, new_id=new_id)
        return _records("events", columns, self.spec.event_id, self.spec.entity, self._encode(columns))

    def labels(self, rows: Rows, *, now_ms: int) -> Records:
        """The truth about events: `event_id`, `entity`, `label`, and if known `labelled_at` and `revision`.

        Raises RowError; also for a label that is none of the pipeline's classes, or no number where it predicts one.
        """
        columns = row_columns(rows, self._label, {"labelled_at": lambda: now_ms}, "every label")
        for row, label in enumerate(plain(columns["label"])):
            if why := self._no_label(label):
                raise RowError(f"row {row}: field 'label' holds {label!r:.100}, which {why}.", field="label", row=row)
        return _records("feedback", columns, "event_id", "entity", self._encode_feedback(columns))

    def _no_label(self, label: str) -> str:
        classes = self.spec.target.classes
        if classes:
            return "" if label in classes else f"is none of the classes {', '.join(classes)}"
        try:
            number = float(label)
        except ValueError:
            return "is no number in decimal"
        return "" if abs(number) < float("inf") else "is not finite"


def _records(role: str, columns: Mapping[str, Any], event_id: str, entity: str, values: list[bytes]) -> Records:
    ids, entities = (list(map(str, plain(columns[name]))) for name in (event_id, entity))
    return Records(role, ids, entities, [key.encode() for key in entities], values)
