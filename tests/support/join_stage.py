"""Join workers on a cluster in memory."""

from dataclasses import dataclass, field

from freshet.contracts.topics import TopicNames
from freshet.drift.core.join.join_state import JoinState
from freshet.drift.core.join.logic import JoinLogic
from freshet.drift.service import JOIN
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.memory.partition_log import At
from freshet.runtime.clock import ManualClock
from freshet.runtime.data_loop import DataLoop
from freshet.runtime.jobs import InlineJobs
from freshet.runtime.options import LoopOptions
from freshet.runtime.telemetry import Metrics
from support.join_world import CLASSIFICATION, PIPELINE, JoinWorld

NAMES = TopicNames("", PIPELINE)
_METRICS = Metrics()  # costs more to make than all else


@dataclass
class JoinStage:
    """A cluster, a pipeline on it, and workers that are turned one after the other."""

    label: str = "{horizon: 10m, grace: 1m, wait: 2m}"
    partitions: int = 2
    rows: int = 50
    most_bytes: int = 1 << 30
    target: str = CLASSIFICATION
    cluster: MemoryCluster = field(default_factory=MemoryCluster)
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.cluster.ensure(NAMES, self.partitions)
        self.bus = MemoryBus(self.cluster, NAMES)
        self.world = JoinWorld(self.bus, self.partitions, self.label, self.target)

    def worker(self, slot: str = "0", *, fixed: bool = True) -> DataLoop:
        """A new process."""
        return DataLoop(
            JoinLogic(PIPELINE, most_bytes=self.most_bytes),
            self.bus,
            NAMES,
            service=JOIN.name,
            slot=slot,
            fixed_slot=fixed,
            jobs=InlineJobs(lambda job, _stop: job),
            clock=self.clock,
            metrics=_METRICS,
            references=JOIN.clues,
            options=LoopOptions(batch_rows=self.rows),
        )

    def turn(self, *loops: DataLoop, times: int = 12, step_ms: int = 300) -> None:
        """Let them turn, one after the other."""
        for _ in range(times):
            self.clock.advance(step_ms)
            self.cluster.advance(step_ms)
            for loop in loops:
                loop.step(0.0)

    def drain(self, *loops: DataLoop) -> None:
        """Until all inputs are read."""
        for _ in range(100):
            self.turn(*loops, times=3)
            if not any(self.left().values()):
                return
        raise AssertionError((self.left(), [loop.unready() for loop in loops]))

    def left(self) -> dict[tuple[str, int], int]:
        """How much of each input is not read."""
        group = self.cluster.group(NAMES.group(JOIN.name))
        found = {}
        for role in JoinLogic.reads:
            for number, span in self.bus.spans(role).items():
                at = group.committed(At(NAMES.topic(role), number))
                found[role, number] = span.end - (0 if at is None else at.offset)
        return found

    def state(self, loop: DataLoop, partition: int = 0) -> JoinState:
        """What a worker knows of a partition."""
        return self.logic(loop)._states[partition]

    def logic(self, loop: DataLoop) -> JoinLogic:
        """The core of a worker."""
        assert isinstance(loop.logic, JoinLogic)
        return loop.logic
