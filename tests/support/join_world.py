"""Predictions, labels and features of a pipeline on any bus, and what the join has to write of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from freshet.avro import Column, Decoder, Encoder, Ragged, Strings
from freshet.avro.control import decode, encode
from freshet.avro.own_schemas import current_schema, schema_id
from freshet.contracts.messages import Outcomes, PipelineRecord
from freshet.contracts.topic_id import UNKNOWN_BYTES, to_bytes
from freshet.drift.core.join.hashing import hash64_of
from freshet.drift.core.join.plans import windows_of
from freshet.outcomes.outcome_rows import NO_VALUES, OutcomeRows
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.protocol import Bus, Send
from freshet.runtime.reading import everything
from support.join_reference import Label, Prediction, Reference, Row

PIPELINE = "p"
CLASSES = ("ok", "bad")
CLASSIFICATION = "{classes: [ok, bad]}"
REGRESSION = "{kind: value}"
_SPEC = """
pipeline: p
entity: card
event_id: id
event_time: at
partitions: {partitions}
features: {{version: 3, columns: [{{kind: field, of: amount}}, {{kind: field, of: hour}}]}}
target: {target}
label: {label}
"""


@dataclass
class JoinWorld:
    """Writes what ingestion and inference write, and reads what the join makes of it."""

    bus: Bus
    partitions: int = 2
    label: str = "{horizon: 10m, grace: 1m, wait: 2m}"
    target: str = CLASSIFICATION
    number: int = 1
    asked: int = field(default=0, init=False)
    told: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._producer = self.bus.producer()
        self._encoders = {
            record: Encoder(current_schema(record), schema_id(record))
            for record in ("Prediction", "Label", "FeatureVector")
        }
        self.publish(self.label)

    def publish(self, label: str) -> None:
        """Publish a specification with this label stanza."""
        record = pipeline_record(label, self.number, self.partitions, self.target)
        self._producer.send(Send("pipelines", [f"{PIPELINE}/{self.number}".encode()], [encode(record)]))
        self.windows = {self.number: windows_of(PipelineSpec.parse(record.spec))}
        self.number += 1

    def ask(self, ids: Sequence[str], partition: int = 0) -> None:
        """A feature vector and a prediction for each id; its first value is the number in the id."""
        count = len(ids)
        values = np.array([[float(name.strip("abcdef-")), np.nan] for name in ids], np.float32)
        vectors = common_columns(ids) | {
            "spec_version": np.full(count, 3, np.int32),
            "values": Ragged.from_matrix(values),
        }
        offsets = self._send("features", "FeatureVector", vectors, partition)
        predictions = prediction_columns(ids, offsets, to_bytes(self.bus.topic_id("features")))
        if self.target == REGRESSION:
            predictions["label"] = Strings.repeat("", count)
            predictions["scores"] = Ragged.from_matrix(np.full((count, 1), 2.5, np.float32))
        self._send("predictions", "Prediction", predictions, partition)
        self.asked += count

    def tell(self, labels: Sequence[tuple[str, int, str]], partition: int = 0) -> None:
        """Labels: id, revision, class."""
        self._send("labels", "Label", label_columns(labels), partition)
        self.told += len(labels)

    def _send(self, role: str, record: str, columns: dict[str, Column], partition: int) -> list[int]:
        values = self._encoders[record].encode(columns)
        return self._producer.send(Send(role, [b"card"] * len(values), values, [partition] * len(values)))

    def records(self) -> list[Outcomes]:
        """The labelled log."""
        found = [
            decode("outcomes", value) for batch in everything(self.bus, "outcomes") for value in batch.values if value
        ]
        return [record for record in found if isinstance(record, Outcomes)]

    def check(self) -> Counter[str]:
        """The labelled log is what follows from predictions and labels. Returns the counts of all partitions."""
        total: Counter[str] = Counter()
        for partition in range(self.partitions):
            expected = self._reference(partition)
            mine = [record for record in self.records() if record.partition == partition]
            written = [row for record in mine for row in rows_of(record)]
            assert sorted(written) == sorted(expected.rows), partition
            ends = [0, *(record.first_row + record.rows for record in mine)]
            assert [record.first_row for record in mine] == ends[:-1]
            told = Counter(mine[-1].counts) if mine else Counter[str]()
            waiting, still_open = told.pop("waiting", 0), told.pop("open", 0)
            assert +told == +expected.counts
            assert waiting == len(expected.waiting)
            assert still_open == sum(a.revision < -(2**31) and not (a.closed or a.duplicate) for a in expected.asked)
            self._check_minutes(mine, expected)
            total.update(told)
        return total

    def _check_minutes(self, records: list[Outcomes], expected: Reference) -> None:
        minutes: Counter[tuple[str, int, int]] = Counter()
        for record in records:
            for minute in record.minutes:
                minutes["predictions", minute.start_ms, minute.answer] += minute.predictions
                minutes["labelled", minute.start_ms, minute.answer] += minute.labelled
        assert +minutes == +expected.minutes

    def _reference(self, partition: int) -> Reference:
        found, plan = Reference(self.windows), max(self.windows)
        for record, offset, at_ms in self._inputs("predictions", "Prediction", partition):
            answer = -1 if self.target == REGRESSION else CLASSES.index(record["label"])
            found.prediction(Prediction(_id(record["event_id"]), offset, at_ms, plan, answer))
        for record, offset, at_ms in self._inputs("labels", "Label", partition):
            label = record["label"]
            value = float(label) if self.target == REGRESSION else float(CLASSES.index(label))
            row = (record["labelled_at"], record["revision"], value, plan)
            found.label(Label(_id(record["event_id"]), offset, at_ms, *row))
        return found

    def _inputs(self, role: str, record: str, partition: int) -> list[tuple[dict, int, int]]:  # type: ignore[type-arg]
        decoder, found = Decoder(current_schema(record)), []
        for batch in everything(self.bus, role):
            columns = decoder.decode(batch.values).columns
            names = {"event_id", "label", "labelled_at", "revision"} & columns.keys()
            lists = {name: columns[name].tolist() for name in names}  # type: ignore[union-attr]
            for at, place in enumerate(batch.partitions.tolist()):
                if place == partition:
                    row = {name: values[at] for name, values in lists.items()}
                    found.append((row, int(batch.offsets[at]), int(batch.timestamps_ms[at])))
        return found


def pipeline_record(label: str, number: int = 1, partitions: int = 2, target: str = CLASSIFICATION) -> PipelineRecord:
    """The pipeline's specification with this label stanza."""
    text = _SPEC.format(partitions=partitions, label=label, target=target)
    return PipelineRecord(pipeline=PIPELINE, number=number, spec=text, event_schema="", event_schema_id=1)


def common_columns(ids: Sequence[str]) -> dict[str, Column]:
    """What all three kinds of records have."""
    count = len(ids)
    return {
        "event_id": Strings.from_list(ids),
        "entity": Strings.repeat("card", count),
        "event_time": np.arange(count, dtype=np.int64),
        "source_partition": np.zeros(count, np.int32),
        "source_offset": np.arange(count, dtype=np.int64),
        "source_topic": Strings.repeat(UNKNOWN_BYTES, count),
    }


def prediction_columns(ids: Sequence[str], features_offsets: Sequence[int], topic_id: bytes) -> dict[str, Column]:
    """Predictions for these feature vectors of the topic with that id."""
    count = len(ids)
    return common_columns(ids) | {
        "label": Strings.from_list([CLASSES[at % 2] for at in range(count)]),
        "scores": Ragged.from_matrix(np.tile(np.array([0.25, 0.75], np.float32), (count, 1))),
        "version": Strings.from_list([f"1.0.{at % 3}" for at in range(count)]),
        "epoch": np.full(count, 4, np.int64),
        "fallback": np.zeros(count, np.int32),
        "arm": np.zeros(count, np.int32),
        "features_partition": np.zeros(count, np.int32),
        "features_offset": np.array(features_offsets, np.int64),
        "features_topic": Strings.repeat(topic_id, count),
    }


def label_columns(labels: Sequence[tuple[str, int, str]]) -> dict[str, Column]:
    """Labels: id, revision, class."""
    columns = common_columns([name for name, _, _ in labels])
    del columns["event_time"]
    return columns | {
        "label": Strings.from_list([label for _, _, label in labels]),
        "labelled_at": np.arange(len(labels), dtype=np.int64),
        "revision": np.array([revision for _, revision, _ in labels], np.int32),
    }


def rows_of(record: Outcomes) -> list[Row]:
    """The rows of a record, without the flag that values are missing."""
    rows = OutcomeRows.of(record)
    names = ("prediction_offset", "weight", "label", "revision", "label_offset", "labelled_ms", "claimed_ms")
    columns = [getattr(rows, name).tolist() for name in names]
    if record.classes == 1:
        columns[names.index("label")] = rows.truth.tolist()
    return [Row(*row) for row in zip(*columns, (rows.flags & ~NO_VALUES).tolist(), strict=True)]


def _id(text: str) -> tuple[int, int]:
    return hash64_of(text.encode()), 0
