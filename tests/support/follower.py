"""A toy that follows two logs: it keeps a running total by log, and says it after every row."""

import json
from collections.abc import Iterable, Mapping

from freshet.contracts.batch import Batch
from freshet.contracts.follower import Follower
from freshet.contracts.logic import Effect, Fact, Publish
from freshet.contracts.messages import PipelineRecord
from freshet.contracts.stateful import Checkpoint
from freshet.contracts.topic_table import TopicNames, topic_table
from freshet.runtime.data_loop import DataLoop
from freshet.testing import MemoryPipeline

NAMES = TopicNames("", "p")
SERVICE = "tally"
KEPT = f"checkpoints/{SERVICE}"
LOGS = ("features", "labels")

Totals = Mapping[str, int]


class Tally(Follower[Totals]):
    """Adds up the numbers in each log, times the factor that the newest specification gives."""

    reads = LOGS
    follows = ("pipelines",)
    kept = Checkpoint(KEPT, rows=5)

    def __init__(self) -> None:
        self._number = 1
        self.steps = 0

    @property
    def plan(self) -> int:
        """The number of the specification is the factor."""
        return self._number

    def fold(self, fact: Fact) -> None:
        """Follow the newest specification."""
        if isinstance(fact.message, PipelineRecord):
            self._number = max(self._number, fact.message.number)

    def first_state(self) -> Totals:
        """Nothing was added."""
        return dict.fromkeys(LOGS, 0)

    def step(self, state: Totals, batch: Batch, plan: int) -> tuple[Totals, Iterable[Effect]]:
        """Say each row's log and the total behind it."""
        self.steps += 1
        total, said = state[batch.role], []
        for value in batch.values:
            total += plan * int(value or b"0")
            said.append(f"{batch.role}={total}".encode())
        return {**state, batch.role: total}, [Publish("predictions", [b"k"] * len(said), said, [0] * len(said))]

    def to_bytes(self, state: Totals) -> bytes:
        """See `Follower`."""
        return json.dumps(dict(sorted(state.items()))).encode()

    def from_bytes(self, body: bytes) -> Totals:
        """See `Follower`."""
        totals: Totals = json.loads(body)
        return totals


class Following(MemoryPipeline):
    """The logs in memory, and processes that follow them."""

    def __init__(self, partitions: int = 1) -> None:
        roles = (*topic_table(), KEPT)
        super().__init__(SERVICE, partitions=partitions, roles=roles, names=NAMES, batch_rows=3)

    def feed(self, *numbers: int, log: str = "features", partition: int = 0) -> None:
        """Append these."""
        values = [str(number).encode() for number in numbers]
        self.send(log, [b"k"] * len(values), values, partition)

    def worker(self, slot: str = "0") -> DataLoop:
        """A new process: an ordinary loop runs it."""
        return self.loop(Tally(), slot)

    def end_session(self, slot: str) -> None:
        """The group gives the slot's partitions to another one."""
        (member,) = (name for name in self.cluster.group(NAMES.group(SERVICE)).members if f"{SERVICE}-{slot}" in name)
        self.cluster.expire(member)

    def said(self, log: str = "features") -> list[str]:
        """What a read_committed reader sees of one log's totals, in order."""
        found = [(value or b"").decode() for batch in self.read("predictions") for value in batch.values]
        return [text.partition("=")[2] for text in found if text.startswith(log)]

    def kept(self) -> int:
        """How many checkpoints were written."""
        return sum(len(batch) for batch in self.read(KEPT))
