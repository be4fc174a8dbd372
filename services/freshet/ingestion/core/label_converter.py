"""Feedback → labels: what people or systems say is true, held to the pipeline's target."""

import math
import re

import numpy as np

from freshet.avro import Column, Encoder, Strings, take
from freshet.avro.framed import FramedReader
from freshet.avro.own_schemas import current_schema, schema_id
from freshet.avro.rows import Rows
from freshet.contracts.arrays import Bools
from freshet.contracts.batch import Batch
from freshet.ingestion.core.field_checks import Check, one_of, present
from freshet.ingestion.core.record_converter import Answer
from freshet.ingestion.core.time_bounds import TimeBounds
from freshet.ingestion.core.validator import Validator, shown
from freshet.pipeline import PipelineSpec
from freshet.pipeline.identifiers import filled

READS, WRITES = "Feedback", "Label"

_DECIMAL = re.compile(r"[+-]?\d{1,400}(\.\d{1,400})?([eE][+-]?\d{1,3})?", re.ASCII)


class LabelConverter:
    """One pipeline version's way from feedback to labels. Corrections and repeats pass: the join picks one."""

    publishes = "labels"

    def __init__(self, spec: PipelineSpec) -> None:
        self._reader = FramedReader.of(READS, max_bytes=spec.max_event_bytes)
        self._checks = (present("event_id"), _label_check(spec), _REVISION)
        self._time = TimeBounds("labelled_at", spec.max_event_skew)
        self._encoder = Encoder(current_schema(WRITES), schema_id(WRITES))

    def read(self, batch: Batch) -> Rows:
        """The feedback of the batch as columns."""
        return self._reader.read(batch.values)

    def answer(self, batch: Batch, rows: Rows, topic_id: bytes) -> Answer:
        """See `RecordConverter`: a label or a refusal for every row in `rows`."""
        validator = Validator(rows)
        for check in self._checks:
            check.apply(validator)
        self._time.apply(validator, batch.timestamps_ms[rows.at])
        kept = validator.passed()
        at = rows.at[kept]
        columns: dict[str, Column] = {name: take(column, kept) for name, column in rows.columns.items()}
        entities, event_ids = columns["entity"], columns["event_id"]
        assert isinstance(entities, Strings)
        assert isinstance(event_ids, Strings)
        columns["entity"] = keys = filled(entities, event_ids)
        columns["source_partition"] = batch.partitions[at]
        columns["source_offset"] = batch.offsets[at]
        columns["source_topic"] = Strings.repeat(topic_id, at.size)
        return Answer(at, keys.tobytes(), self._encoder.encode(columns), validator.refused)


def _label_check(spec: PipelineSpec) -> Check:
    classes = spec.target.classes
    if classes:
        return one_of("label", classes, f"the pipeline's classes are {shown(classes)}.")
    return Check("label", "input_malformed", "a regression's label is a finite decimal number.", _not_a_number)


def _not_a_number(column: Column) -> Bools:
    assert isinstance(column, Strings)
    return np.array([not _is_number(text) for text in column.tolist()], np.bool_)


def _is_number(text: str) -> bool:
    return _DECIMAL.fullmatch(text) is not None and math.isfinite(float(text))


def _below_zero(column: Column) -> Bools:
    assert isinstance(column, np.ndarray)
    return column < 0


_REVISION = Check("revision", "input_range", "revisions count up from 0.", _below_zero)
