"""Predictions: what is published about rows that a model has answered."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from freshet.avro import Encoder, Strings
from freshet.avro.columns import Columns, Ragged, concat, take
from freshet.avro.own_schemas import current_schema, schema_id
from freshet.contracts.arrays import Floats32
from freshet.contracts.batch import Batch
from freshet.contracts.headers import passed
from freshet.contracts.logic import Publish
from freshet.contracts.messages import Manifest
from freshet.contracts.position import Position
from freshet.contracts.topic_id import to_bytes
from freshet.inference.core.vectors import Vectors

RECORD = "Prediction"
ROLE = "predictions"

_COPIED = ("event_id", "entity", "event_time", "source_partition", "source_offset", "source_topic")


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Rows that one version has answered, with finite scores (n, outputs)."""

    vectors: Vectors
    scores: Floats32
    version: str
    manifest: Manifest


class PredictionWriter:
    """Encodes answers as Prediction records."""

    def __init__(self, topic_id: str, *, pass_headers: bool = False) -> None:
        """`topic_id` is the broker's id of the features topic; see `contracts.passing` for headers."""
        self.pass_headers = pass_headers
        self._topic_id = to_bytes(topic_id)
        self._encoder = Encoder(current_schema(RECORD), schema_id(RECORD))

    def publish(self, batch: Batch, position: Position, answers: Sequence[Answers]) -> Publish:
        """One prediction per answered row, in the order of the batch, on the row's own partition number.

        `fallback` is the partition's position, as its cut-over says; `version` is who answered.
        """
        at, columns = answers[0].vectors.at, self._columns(batch, position, answers[0])
        if len(answers) > 1:
            parts = [columns, *(self._columns(batch, position, more) for more in answers[1:])]
            at = np.concatenate([part.vectors.at for part in answers])
            order = np.argsort(at)
            at = at[order]
            columns = {name: take(concat([part[name] for part in parts]), order) for name in columns}
        told = passed(batch, at) if self.pass_headers else None
        values, partitions = self._encoder.encode(columns), batch.partitions[at].tolist()
        keys: Sequence[bytes | None] = batch.keys if at.size == len(batch) else [batch.keys[row] for row in at.tolist()]
        if None in keys:
            entities = columns["entity"]
            assert isinstance(entities, Strings)
            keys = entities.tobytes()
        return Publish(ROLE, keys, values, partitions, told)

    def _columns(self, batch: Batch, position: Position, answers: Answers) -> Columns:
        vectors, n, classes = answers.vectors, len(answers.vectors), answers.manifest.classes
        # The class of the highest score, the first of equals; empty for a regression.
        best = Strings.from_list(classes).take(answers.scores.argmax(axis=1)) if classes else Strings.repeat("", n)
        return {name: vectors.columns[name] for name in _COPIED} | {
            "label": best,
            "scores": Ragged.from_matrix(answers.scores),
            "version": Strings.repeat(answers.version, n),
            "epoch": np.full(n, position.epoch, np.int64),
            "fallback": np.full(n, position.fallback, np.int32),
            "arm": np.zeros(n, np.int32),  # a table of one version has one arm
            "features_partition": batch.partitions[vectors.at],
            "features_offset": batch.offsets[vectors.at],
            "features_topic": Strings.repeat(self._topic_id, n),
        }
