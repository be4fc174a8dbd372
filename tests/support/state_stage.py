"""A cluster with two inputs that belong together, and workers of the counter on it."""

from dataclasses import dataclass, field

import numpy as np

from freshet.avro import Decoder, Strings
from freshet.avro.control import decode
from freshet.avro.schemas import current_schema
from freshet.contracts.batch import Batch
from freshet.contracts.messages import StateRecord
from freshet.contracts.topics import TopicNames
from freshet.inference.service import SERVICE as INFERENCE
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.memory.partition_log import At
from freshet.runtime.bus.protocol import Send
from freshet.runtime.clock import ManualClock
from freshet.runtime.data_loop import DataLoop
from freshet.runtime.jobs import InlineJobs
from freshet.runtime.options import LoopOptions
from freshet.runtime.telemetry import Metrics
from support.stateful import INPUTS, SERVICE, Checkpointed, Counter, Slabbed, Windowed

NAMES = TopicNames("", "p")
LOGS = INFERENCE.references[0]
KEPT = {Checkpointed: f"checkpoints/{SERVICE}", Slabbed: f"slabs/{SERVICE}", Windowed: f"slabs/{SERVICE}"}
_METRICS = Metrics()  # costs more to make than all else


@dataclass
class Stage:
    """A cluster with two inputs that belong together, the state topics of the counter, and workers on it."""

    kind: type[Counter]
    partitions: int = 1
    rows: int = 4
    cluster: MemoryCluster = field(default_factory=MemoryCluster)
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        roles = (*INPUTS, "predictions", "dead-letters", "cutovers", *sorted({*KEPT.values()}))
        self.cluster.ensure(NAMES, self.partitions, roles)
        self.bus = MemoryBus(self.cluster, NAMES)
        self._producer = self.bus.producer()
        self.fed = 0

    def feed(self, count: int, role: str = "features", partition: int = 0) -> None:
        """So many rows of three entities."""
        keys = [b"abc"[(self.fed + row) % 3 :][:1] for row in range(count)]
        self.fed += count
        self._producer.send(Send(role, keys, [b"v"] * count, [partition] * count))

    def worker(self, slot: str = "0", *, plan: int = 1, fixed: bool = True) -> DataLoop:
        """A new process."""
        return DataLoop(
            self.kind(plan),
            self.bus,
            NAMES,
            service=SERVICE,
            slot=slot,
            fixed_slot=fixed,
            jobs=InlineJobs(lambda job, _stop: job),
            clock=self.clock,
            metrics=_METRICS,
            references=[LOGS],
            options=LoopOptions(batch_rows=self.rows),
        )

    def turn(self, *loops: DataLoop, times: int = 12) -> None:
        """Let them turn, one after the other."""
        for _ in range(times):
            self.clock.advance(60)
            self.cluster.advance(60)
            for loop in loops:
                loop.step(0.0)

    def drain(self, *loops: DataLoop) -> None:
        """Until all inputs are read."""
        for _ in range(60):
            self.turn(*loops, times=3)
            ends = {(role, n): span.end for role in INPUTS for n, span in self.bus.spans(role).items()}
            if all(self.committed(*place)[0] == end for place, end in ends.items()):
                return
        raise AssertionError([loop.unready() for loop in loops])

    def committed(self, role: str, partition: int = 0) -> tuple[int, str]:
        """What is committed."""
        found = self.cluster.group(NAMES.group(SERVICE)).committed(At(NAMES.topic(role), partition))
        return (-1, "") if found is None else (found.offset, found.metadata)

    def answers(self) -> list[tuple[int, int, str]]:
        """(partition, offset, count) of every answer."""
        decoder, found = Decoder(current_schema("Prediction")), list[tuple[int, int, str]]()
        for batch in self.read("predictions"):
            columns = decoder.decode(batch.values).columns
            places = (np.asarray(columns[name]).tolist() for name in ("features_partition", "features_offset"))
            labels = columns["label"]
            assert isinstance(labels, Strings)
            found += zip(*places, [text.decode() for text in labels.tobytes()], strict=True)
        return sorted(found)

    def read(self, role: str) -> list[Batch]:
        """All records of the role."""
        reader, batches = self.bus.reader([role]), list[Batch]()
        while not reader.caught_up():
            batches += reader.read(1000, 0.0)
        return batches

    def kept(self) -> list[StateRecord]:
        """All state records there are."""
        role = KEPT[self.kind]
        return [decode(role, value) for batch in self.read(role) for value in batch.values if value]  # type: ignore[misc]

    def lose_state(self) -> None:
        """Somebody deletes the state topic; it is made anew, empty."""
        for role in {*KEPT.values()}:
            self.cluster.remake_topic(NAMES.topic(role))

    def expire(self, role: str, low: int) -> None:
        """Retention takes what is below."""
        self.cluster.truncate(NAMES.topic(role), 0, low)


def state(loop: DataLoop, partition: int = 0) -> bytes:
    """The state that a worker has in memory."""
    assert isinstance(loop.logic, Counter)
    return loop.logic.dump(partition)
