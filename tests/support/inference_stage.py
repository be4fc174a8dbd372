"""Inference on a pipeline in memory: what the registry says to it, feature vectors, and what came of them."""

from collections.abc import Callable, Sequence
from typing import Any

from freshet.avro import Decoder
from freshet.avro.own_schemas import current_schema
from freshet.contracts.messages import Message, PipelineRecord, WorkerState
from freshet.contracts.topic_table import TopicNames
from freshet.inference.service import SERVICE as INFERENCE
from freshet.testing import MemoryPipeline
from support.inference import PIPELINE, plain, specification, vector

PARTITIONS = 2


class InferenceStage(MemoryPipeline):
    """The pipeline, applied and without a model."""

    def __init__(self, batch_rows: int = 7, record: PipelineRecord | None = None) -> None:
        super().__init__(
            "inference",
            partitions=PARTITIONS,
            references=INFERENCE.clues,
            names=TopicNames("", PIPELINE),
            batch_rows=batch_rows,
        )
        self._fed = 0
        self.say("pipelines", record or specification())

    def say(self, role: str, message: Message) -> None:
        """Write a control record."""
        self.tell(role, f"{PIPELINE}/{getattr(message, 'epoch', '')}{getattr(message, 'version', '')}", message)

    def feed(self, count: int, values: Callable[[int, int], Sequence[float] | None] = lambda _p, _at: None) -> None:
        """Append that many feature vectors to each partition, with the values of that partition and offset."""
        for partition in range(PARTITIONS):
            rows = [vector(partition, at, values(partition, at)) for at in range(self._fed, self._fed + count)]
            self.send("features", [row.key() for row in rows], [row.value() or b"" for row in rows], partition)
        self._fed += count

    def answers(self, *more: str) -> list[tuple[Any, ...]]:
        """(partition, offset, version, and more columns) of every committed prediction, sorted."""
        names = ("features_partition", "features_offset", "version", *more)
        decoder = Decoder(current_schema("Prediction"))
        found = [decoder.decode(batch.values).columns for batch in self.read("predictions")]
        return sorted(row for columns in found for row in zip(*(plain(columns[name]) for name in names), strict=True))

    def states(self) -> list[WorkerState]:
        """Every worker's record, oldest first."""
        return self.messages("workers", WorkerState)
