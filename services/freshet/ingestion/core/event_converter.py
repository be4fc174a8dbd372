"""Events → feature vectors: checked, computed and encoded for all rows at once."""

import numpy as np

from freshet.avro import Encoder, Ragged, Strings, take
from freshet.avro.event_fields import event_fields
from freshet.avro.own_schemas import Schema, current_schema, schema_id
from freshet.avro.rows import Rows
from freshet.contracts.batch import Batch, read_headers
from freshet.contracts.headers import arrived_ms
from freshet.ingestion.core.decoder import EventDecoder
from freshet.ingestion.core.field_checks import checks_of
from freshet.ingestion.core.record_converter import Answer
from freshet.ingestion.core.time_bounds import TimeBounds
from freshet.ingestion.core.validator import Validator
from freshet.pipeline import PipelineSpec
from freshet.pipeline.feature_row import FeatureRow
from freshet.pipeline.identifiers import filled, text_of

RECORD = "FeatureVector"


class EventConverter:
    """One pipeline version's way from events to feature vectors. A row's answer follows from its own record alone."""

    publishes = "features"

    def __init__(self, spec: PipelineSpec, schema: Schema, decoder: EventDecoder) -> None:
        fields = event_fields(schema)
        self._spec = spec
        self._decoder = decoder
        self._checks = checks_of(spec, fields)
        ticks_per_ms = fields[spec.event_time].ticks_per_ms
        self._time = TimeBounds(spec.event_time, spec.max_event_skew, spec.max_event_age, ticks_per_ms)
        self._features = FeatureRow(spec, schema)
        self._encoder = Encoder(current_schema(RECORD), schema_id(RECORD))

    def read(self, batch: Batch) -> Rows:
        """The events of the batch as columns of the pipeline's newest schema."""
        return self._decoder.read(batch.values)

    def answer(self, batch: Batch, rows: Rows, topic_id: bytes) -> Answer:
        """See `RecordConverter`: a feature vector or a refusal for every row in `rows`."""
        validator = Validator(rows)
        for check in self._checks:
            check.apply(validator)
        self._time.apply(
            validator,
            batch.timestamps_ms[rows.at],
            lambda row: arrived_ms(read_headers(batch.records[int(rows.at[row])])),
        )
        values, infinite = self._features.compute(rows.columns)
        if infinite:
            details = {refusal.row: refusal.detail for refusal in infinite}
            validator.refuse(np.isin(np.arange(rows.at.size), list(details)), "input_not_finite", details.__getitem__)
        kept = validator.passed()
        at = rows.at[kept]
        event_ids = text_of(take(rows.columns[self._spec.event_id], kept))
        entities = filled(text_of(take(rows.columns[self._spec.entity], kept)), event_ids)
        vectors = self._encoder.encode(
            {
                "event_id": event_ids,
                "entity": entities,
                "event_time": self._time.in_ms(take(rows.columns[self._spec.event_time], kept)),
                "spec_version": np.full(at.size, self._spec.features.version, np.int32),
                "values": Ragged.from_matrix(values[kept]),
                "source_partition": batch.partitions[at],
                "source_offset": batch.offsets[at],
                "source_topic": Strings.repeat(topic_id, at.size),
            }
        )
        return Answer(at, entities.tobytes(), vectors, validator.refused)
