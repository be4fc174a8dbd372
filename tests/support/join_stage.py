"""Join workers on a pipeline in memory."""

from freshet.contracts.topic_table import TopicNames
from freshet.drift.core.join.join_state import JoinState
from freshet.drift.core.join.logic import JoinLogic
from freshet.drift.service import JOIN
from freshet.runtime.data_loop import DataLoop
from freshet.testing import MemoryPipeline
from support.join_world import CLASSIFICATION, PIPELINE, JoinWorld

NAMES = TopicNames("", PIPELINE)


class JoinStage(MemoryPipeline):
    """A pipeline, what is asked and told of it, and workers that are turned one after the other."""

    def __init__(
        self,
        label: str = "{horizon: 10m, grace: 1m, wait: 2m}",
        partitions: int = 2,
        most_bytes: int = 1 << 30,
        target: str = CLASSIFICATION,
        rows: int = 50,
    ) -> None:
        super().__init__(JOIN.name, partitions=partitions, references=JOIN.clues, names=NAMES, batch_rows=rows)
        self.most_bytes = most_bytes
        self.world = JoinWorld(self.bus, partitions, label, target)

    def worker(self, slot: str = "0", *, fixed: bool = True) -> DataLoop:
        """A new process."""
        return self.loop(JoinLogic(PIPELINE, most_bytes=self.most_bytes), slot, fixed=fixed)

    def state(self, loop: DataLoop, partition: int = 0) -> JoinState:
        """What a worker knows of a partition."""
        return self.logic(loop)._states[partition]

    def logic(self, loop: DataLoop) -> JoinLogic:
        """The core of a worker."""
        assert isinstance(loop.logic, JoinLogic)
        return loop.logic
