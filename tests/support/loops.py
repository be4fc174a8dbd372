"""A pipeline on the memory bus with a logic that answers each feature vector, for tests of the loop."""

from collections.abc import Iterable, Sequence

import numpy as np

from freshet.avro import Decoder, Encoder, Ragged, Strings
from freshet.avro.own_schemas import current_schema, schema_id
from freshet.contracts.batch import Batch
from freshet.contracts.logic import Effect, Fact, Hold, Logic, Mark, Publish
from freshet.contracts.messages import WorkerState
from freshet.contracts.position import Position, unstamped
from freshet.contracts.topic_id import UNKNOWN_BYTES, to_bytes
from freshet.contracts.topic_table import TopicNames
from freshet.contracts.worker import WorkerReport
from freshet.inference.service import SERVICE as INFERENCE
from freshet.operate.records import headers_of
from freshet.testing import MemoryPipeline

NAMES = TopicNames("", "p")
REFERENCE = INFERENCE.references[0]


class Answerer(Logic):
    """Answers each row with one prediction at position (1, 0); holds the partitions it is told to."""

    reads = ("features",)
    follows = ("rollouts",)
    origin = "e=0 f=0"

    def __init__(self) -> None:
        self.assigned: list[tuple[int, str]] = []
        self.hold: set[int] = set()
        self.facts: list[Fact] = []
        self.topic_id = ""

    def on_topic(self, role: str, topic_id: str) -> None:
        """Remember whose records these are."""
        self.topic_id = topic_id

    def fold(self, fact: Fact) -> None:
        """Remember what was folded."""
        self.facts.append(fact)

    def on_assign(self, role: str, partition: int, metadata: str) -> None:
        """Remember what was assigned."""
        self.assigned.append((partition, metadata))

    def waits(self, role: str, partition: int) -> str:
        """As it is told."""
        return "told to" if partition in self.hold else ""

    def on_batch(self, batch: Batch) -> Iterable[Effect]:
        """One prediction a row; rows of held partitions count as unread."""
        held = sorted(self.hold & set(batch.partitions.tolist()))
        rows = np.flatnonzero(~np.isin(batch.partitions, held))
        values = predictions(batch.partitions[rows], batch.offsets[rows], to_bytes(self.topic_id))
        yield Publish("predictions", [batch.keys[row] for row in rows], values, batch.partitions[rows].tolist())
        for partition in held:
            yield Hold("features", partition, "told to")
        for partition in np.unique(batch.partitions[rows]).tolist():
            yield Mark("features", partition, Position(1, 0).metadata())

    def report(self) -> WorkerReport:
        """Something that says whose report it is."""
        return WorkerReport(resident=("a",))


def predictions(
    partitions: Sequence[int] | np.ndarray[tuple[int], np.dtype[np.int32]],
    offsets: object,
    topic_id: bytes = UNKNOWN_BYTES,
    labels: Strings | None = None,
) -> list[bytes]:
    """Prediction records for these feature vectors of the topic with that id."""
    n = len(partitions)
    places = np.asarray(partitions, dtype=np.int32)
    at = np.asarray(offsets, dtype=np.int64)
    text = Strings.repeat("x", n)
    return Encoder(current_schema("Prediction"), schema_id("Prediction")).encode(
        {
            "event_id": text,
            "entity": text,
            "event_time": np.zeros(n, np.int64),
            "label": text if labels is None else labels,
            "scores": Ragged.from_matrix(np.zeros((n, 2), np.float32)),
            "version": text,
            "epoch": np.ones(n, np.int64),
            "fallback": np.zeros(n, np.int32),
            "arm": np.zeros(n, np.int32),
            "features_partition": places,
            "features_offset": at,
            "source_partition": places,
            "source_offset": at,
            "features_topic": Strings.repeat(topic_id, n),
            "source_topic": Strings.repeat(UNKNOWN_BYTES, n),
        }
    )


def answers(batches: Iterable[Batch]) -> list[tuple[int, int, str]]:
    """(partition, offset, label) of the feature vector that each of these predictions answers, in their order."""
    decoder, found = Decoder(current_schema("Prediction")), list[tuple[int, int, str]]()
    for batch in batches:
        columns = decoder.decode(batch.values).columns
        assert np.array_equal(np.asarray(columns["features_partition"]), batch.partitions)
        places = (np.asarray(columns[name]).tolist() for name in ("features_partition", "features_offset"))
        labels = columns["label"]
        assert isinstance(labels, Strings)
        found += zip(*places, labels.tolist(), strict=True)
    return found


class Stand(MemoryPipeline):
    """A pipeline in memory, for logics that answer feature vectors."""

    def __init__(self, partitions: int = 2, names: TopicNames = NAMES, beside: MemoryPipeline | None = None) -> None:
        super().__init__("inference", partitions=partitions, references=[REFERENCE], names=names, beside=beside)

    def feed(self, count: int, partition: int = 0, value: bytes = b"v") -> None:
        """Append that many feature vectors (their bytes do not matter here)."""
        self.send("features", [b"k"] * count, [value] * count, partition)

    def answers(self) -> list[tuple[int, int]]:
        """(partition, offset) of every feature vector that a read_committed reader sees answered."""
        return sorted((partition, offset) for partition, offset, _ in answers(self.read("predictions")))

    def dead(self) -> list[dict[str, str]]:
        """The headers of every dead letter."""
        return [headers_of(record.headers()) for batch in self.read("dead-letters") for record in batch.records]

    def dead_values(self) -> list[bytes | None]:
        """The value of every dead letter."""
        return [record.value() for batch in self.read("dead-letters") for record in batch.records]

    def inputs(self) -> list[tuple[int, int]]:
        """(partition, offset) of every feature vector there is."""
        return sorted(
            (record.partition(), record.offset()) for batch in self.read("features") for record in batch.records
        )

    def committed(self, partition: int) -> tuple[int, str] | None:
        """The group's committed offset and the logic's metadata."""
        found = self.committed_at("features", partition)
        return (found.offset, unstamped(found.metadata, found.offset).metadata) if found is not None else None

    def workers(self) -> list[WorkerState]:
        """Every state that a worker has told."""
        return self.messages("workers", WorkerState)
