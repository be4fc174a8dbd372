"""Two inputs that belong together on a pipeline in memory, and workers of the counter on it."""

from collections.abc import Callable

from freshet.contracts.state_messages import StateRecord
from freshet.contracts.topic_table import TopicNames, topic_table
from freshet.runtime.data_loop import DataLoop
from freshet.testing import MemoryPipeline
from support.loops import REFERENCE, answers
from support.stateful import SERVICE, Checkpointed, Counter, Slabbed, Windowed

NAMES = TopicNames("", "p")
KEPT = {Checkpointed: f"checkpoints/{SERVICE}", Slabbed: f"slabs/{SERVICE}", Windowed: f"slabs/{SERVICE}"}


class Stage(MemoryPipeline):
    """The counter's pipeline."""

    def __init__(self, kind: type[Counter], partitions: int = 1, rows: int = 4) -> None:
        roles = (*topic_table(), *sorted({*KEPT.values()}))
        super().__init__(
            SERVICE, partitions=partitions, roles=roles, references=[REFERENCE], names=NAMES, batch_rows=rows
        )
        self.kind = kind
        self.fed = 0

    def feed(self, count: int, role: str = "features", partition: int = 0) -> None:
        """So many rows of three entities."""
        keys = [b"abc"[(self.fed + row) % 3 :][:1] for row in range(count)]
        self.fed += count
        self.send(role, keys, [b"v"] * count, partition)

    def worker(self, slot: str = "0", *, plan: int = 1, fixed: bool = True) -> DataLoop:
        """A new process."""
        return self.loop(self.kind(plan), slot, fixed=fixed)

    def served(self, play: Callable[["Stage", DataLoop], object] = lambda _stage, _loop: None) -> bytes:
        """A worker lives through this, answers all there is, and leaves; the state that it had."""
        loop = self.worker()
        play(self, loop)
        self.drain(loop)
        loop.close()
        return state(loop)

    def restored(self) -> bytes:
        """The state that a new worker has after some turns."""
        loop = self.worker()
        self.turn(loop)
        return state(loop)

    def answers(self) -> list[tuple[int, int, str]]:
        """(partition, offset, count) of every answer."""
        return sorted(answers(self.read("predictions")))

    def kept(self) -> list[StateRecord]:
        """All state records there are."""
        return self.messages(KEPT[self.kind], StateRecord)

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
