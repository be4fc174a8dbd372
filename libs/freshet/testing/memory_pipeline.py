"""One pipeline on a Kafka in memory, and loops on it that a test turns by hand: no broker, no threads, no waiting."""

from collections.abc import Sequence
from typing import Final

from freshet.contracts.batch import Batch
from freshet.contracts.logic import Logic
from freshet.contracts.topics import TopicNames
from freshet.contracts.worker import UNKNOWN_PROCESS, Process
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.memory.partition_log import At
from freshet.runtime.bus.protocol import Committed, Send
from freshet.runtime.clock import ManualClock
from freshet.runtime.data_loop import DataLoop
from freshet.runtime.jobs import InlineJobs, Runner
from freshet.runtime.options import LoopOptions
from freshet.runtime.recovery import Clue
from freshet.runtime.reports import Reports
from freshet.runtime.service import no_jobs
from freshet.runtime.telemetry import Metrics

_NAMES: Final = TopicNames("", "p")
_TURN_MS: Final = 60  # longer than the loop waits between two looks at the control topics


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

        `references` as in `DataService`. `batch_rows` is the most that is answered in one transaction. `beside` another
        one: on its cluster and clock.
        """
        self.service, self.names, self.batch_rows = service, names, batch_rows
        self.cluster: MemoryCluster = beside.cluster if beside else MemoryCluster()
        self.clock: ManualClock = beside.clock if beside else ManualClock()
        self.cluster.ensure(names, partitions, roles)
        self.bus = MemoryBus(self.cluster, names)
        self._references = references
        self._producer = self.bus.producer()

    def send(self, role: str, keys: Sequence[bytes | None], values: Sequence[bytes], partition: int = 0) -> None:
        """Append records to a partition of the role's topic."""
        self._producer.send(Send(role, keys, values, [partition] * len(values)))

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
        """A worker that has not joined yet. `jobs` runs what the logic starts, at once."""
        return DataLoop(
            logic,
            self.bus,
            self.names,
            service=self.service,
            slot=slot,
            fixed_slot=fixed,
            jobs=InlineJobs(jobs),
            clock=self.clock,
            metrics=metrics or Metrics(),
            references=self._references,
            options=LoopOptions(batch_rows=self.batch_rows, skip_expired=skip_expired),
            reports=reports,
            process=process,
            needs=needs,
        )

    def turn(self, *loops: DataLoop, times: int = 12) -> None:
        """Let the loops turn, one after the other, and time pass before each round."""
        for _ in range(times):
            self.clock.advance(_TURN_MS)
            self.cluster.advance(_TURN_MS)
            for loop in loops:
                loop.step(0.0)

    def drain(self, *loops: DataLoop, rounds: int = 60) -> None:
        """Turn until everything that the first loop's logic reads is answered. Raises AssertionError if it never is."""
        for _ in range(rounds):
            self.turn(*loops, times=3)
            if self.drained(loops[0].logic.reads):
                return
        raise AssertionError(f"not everything is answered: {[loop.unready() for loop in loops]}")

    def drained(self, roles: Sequence[str]) -> bool:
        """Whether the committed offsets of these inputs are at their ends."""
        ends = {(role, partition): span.end for role in roles for partition, span in self.bus.spans(role).items()}
        found = {place: self.committed_at(*place) for place in ends}
        return all((at := found[place]) is not None and at.offset == end for place, end in ends.items())

    def committed_at(self, role: str, partition: int = 0) -> Committed | None:
        """The offset and metadata that the service's group has committed."""
        group = self.cluster.group(self.names.group(self.service))
        return group.committed(At(self.names.topic(role), partition))

    def read(self, role: str) -> list[Batch]:
        """All records of the role that a read_committed reader sees."""
        reader, batches = self.bus.reader([role]), list[Batch]()
        while not reader.caught_up():
            batches += reader.read(1000, 0.0)
        return batches
