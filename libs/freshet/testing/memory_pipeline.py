"""One pipeline on a Kafka in memory, and loops on it that a test turns by hand: no broker, no threads, no waiting."""

from collections.abc import Sequence
from typing import Final, TypeVar

from freshet.avro.control import decode, encode
from freshet.contracts.batch import Batch
from freshet.contracts.logic import Decider, Logic
from freshet.contracts.messages import Message
from freshet.contracts.topic_table import TopicNames
from freshet.contracts.worker import UNKNOWN_PROCESS, Process
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.memory.consumer_group import Group
from freshet.runtime.bus.memory.partition_log import At
from freshet.runtime.bus.protocol import Committed, Send
from freshet.runtime.clock import ManualClock
from freshet.runtime.data_loop import DataLoop
from freshet.runtime.jobs import InlineJobs, Runner
from freshet.runtime.options import LoopOptions
from freshet.runtime.owner_loop import OwnerLoop
from freshet.runtime.reading import everything
from freshet.runtime.recovery import Clue
from freshet.runtime.reports import Reports
from freshet.runtime.service import no_jobs
from freshet.runtime.telemetry import Metrics

_NAMES: Final = TopicNames("", "p")
_TURN_MS: Final = 60  # longer than the loop waits between two looks at the control topics
_METRICS: Final = Metrics()  # costs more to make than a whole pipeline

M = TypeVar("M", bound=Message)


class MemoryPipeline:
    """The topics of a pipeline, and workers of one service, each with a logic of its own as in production.

    `cluster` can do what happens to a broker: refuse commits, lose connections, expire members and records. Nothing
    moves by itself: `turn` lets loops work, one after the other, and time pass.
    """

    def __init__(
        self,
        service: str,
        *,
        partitions: int = 2,
        roles: Sequence[str] | None = None,
        references: Sequence[Clue] = (),
        names: TopicNames = _NAMES,
        batch_rows: int = 8,
        beside: "MemoryPipeline | None" = None,
    ) -> None:
        """`roles` are the topics that there are, by default all of `schemas/topics.yaml`.

        `references` are the service's `clues`. `batch_rows` is the most that is answered in one transaction.
        `beside` another pipeline or service: on its cluster and clock.
        """
        self.service, self.names, self.batch_rows = service, names, batch_rows
        self.cluster: MemoryCluster = beside.cluster if beside else MemoryCluster()
        self.clock: ManualClock = beside.clock if beside else ManualClock()
        self.cluster.ensure(names, partitions, roles)
        self.bus = MemoryBus(self.cluster, names)
        self._references = references
        self._producer = self.bus.producer()

    def send(self, role: str, keys: Sequence[bytes | None], values: Sequence[bytes | None], partition: int = 0) -> None:
        """Append records to a partition of the role's topic."""
        self._producer.send(Send(role, keys, values, [partition] * len(values)))

    def tell(self, role: str, key: str, message: Message) -> None:
        """Append a record to a control topic."""
        self.send(role, [key.encode()], [encode(message)])

    def loop(
        self,
        logic: Logic,
        slot: str = "0",
        *,
        fixed: bool = True,
        skip_expired: bool = False,
        jobs: Runner = no_jobs,
        reports: Reports | None = None,
        process: Process = UNKNOWN_PROCESS,
        metrics: Metrics | None = None,
        needs: Sequence[str] = (),
    ) -> DataLoop:
        """A worker that has not joined yet. `jobs` runs what the logic starts, at once.

        To look at its metrics, pass some of its own: all loops without share one object.
        """
        return DataLoop(
            logic,
            self.bus,
            self.names,
            service=self.service,
            slot=slot,
            fixed_slot=fixed,
            jobs=InlineJobs(jobs),
            clock=self.clock,
            metrics=metrics or _METRICS,
            references=self._references,
            options=LoopOptions(batch_rows=self.batch_rows, skip_expired=skip_expired),
            reports=reports,
            process=process,
            needs=needs,
        )

    def owner(self, decider: Decider, *, jobs: Runner = no_jobs, reports: Reports | None = None) -> OwnerLoop:
        """The service as a decider, for all pipelines. A second one fences the first as soon as it turns."""
        bus = self.bus.of_pipeline("")
        return OwnerLoop(
            decider,
            bus,
            bus.names,
            service=self.service,
            jobs=InlineJobs(jobs),
            clock=self.clock,
            metrics=_METRICS,
            reports=reports,
        )

    def turn(self, *loops: DataLoop | OwnerLoop, times: int = 12, step_ms: int = _TURN_MS) -> None:
        """Let the loops turn, one after the other, and so much time pass before each round."""
        for _ in range(times):
            self.pass_time(step_ms)
            for loop in loops:
                loop.step(0.0)

    def pass_time(self, elapsed_ms: int) -> None:
        """Time passes, for workers and for the broker."""
        self.clock.advance(elapsed_ms)
        self.cluster.advance(elapsed_ms)

    def drain(self, *loops: DataLoop, rounds: int = 60) -> None:
        """Turn until everything that the first loop's logic reads is answered. Raises AssertionError if it never is."""
        for _ in range(rounds):
            self.turn(*loops, times=3)
            if self.drained(loops[0].logic.reads):
                return
        raise AssertionError(f"not everything is answered: {[loop.unready() for loop in loops]}")

    def drained(self, roles: Sequence[str]) -> bool:
        """Whether the committed offsets of these inputs are at their ends."""
        places = [(role, partition) for role in roles for partition in self.bus.spans(role)]
        return all(self.committed_at(*place) is not None and self.left(*place) == 0 for place in places)

    def left(self, role: str, partition: int = 0) -> int:
        """How many offsets of an input are not answered."""
        at, span = self.committed_at(role, partition), self.bus.spans(role)[partition]
        return span.end - (at.offset if at is not None else span.low)

    def committed_at(self, role: str, partition: int = 0) -> Committed | None:
        """The offset and metadata that the service's group has committed."""
        return self.group.committed(At(self.names.topic(role), partition))

    @property
    def group(self) -> Group:
        """The service's consumer group: its members and offsets can be lost."""
        return self.cluster.group(self.names.group(self.service))

    def read(self, role: str) -> list[Batch]:
        """All records of the role that a read_committed reader sees."""
        return list(everything(self.bus, role))

    def messages(self, role: str, kind: type[M]) -> list[M]:
        """The records of this kind on a control topic, as a read_committed reader sees them."""
        values = [value for batch in self.read(role) for value in batch.values if value is not None]
        return [told for told in (decode(role, value) for value in values) if isinstance(told, kind)]
