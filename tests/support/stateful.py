"""A logic with state, for tests: it counts rows by entity, and answers each with the count so far.

One class for each way in which state comes back; all of them do the same otherwise.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np

from freshet.avro import Strings
from freshet.contracts.batch import Batch
from freshet.contracts.logic import Effect, Fact, Hold, Publish
from freshet.contracts.stateful import Checkpoint, Slabs, Stateful
from freshet.contracts.topic_id import to_bytes
from support.loops import predictions

SERVICE = "counter"
INPUTS = ("features", "labels")


class Row(NamedTuple):
    """One row as the state remembers it: `weight` is the plan under which it was taken in, to tell plans apart."""

    offset: int
    time_ms: int
    entity: str
    weight: int


@dataclass
class _Log:
    """The rows of one input of one partition, by offset: also those out of reach, which a slab may still ask for."""

    rows: list[Row] = field(default_factory=list)

    def within(self, reach_ms: int | None) -> list[Row]:
        """The rows that count."""
        last_ms = max((row.time_ms for row in self.rows), default=0)
        return self.rows if reach_ms is None else [row for row in self.rows if row.time_ms >= last_ms - reach_ms]


class Counter(Stateful):
    """Counts the rows of each entity, in each input by itself; rows that are out of reach count no more."""

    reads = INPUTS
    together = (INPUTS,)
    folded: ClassVar[int] = 0

    def __init__(self, plan: int = 1) -> None:
        self.now_plan = plan
        self.topic_ids: dict[str, str] = {}
        self.states: dict[int, dict[str, _Log]] = {}
        self.staged: dict[int, dict[str, list[Row]]] = {}
        self.waiting: set[tuple[str, int]] = set()
        self.answered = 0

    @property
    def plan(self) -> int:
        """See `Stateful`."""
        return self.now_plan

    def fold(self, fact: Fact) -> None:
        """It follows nothing."""

    def on_topic(self, role: str, topic_id: str) -> None:
        """Remember whose records these are."""
        self.topic_ids[role] = topic_id

    def on_revoke(self, role: str, partition: int) -> None:
        """The state may come back."""

    def waits(self, role: str, partition: int) -> str:
        """As it is told."""
        return "told to" if (role, partition) in self.waiting else ""

    def on_batch(self, batch: Batch) -> Iterable[Effect]:
        """Stage every row; answer features with the count of their entity."""
        held = [number for number in batch.spans if (batch.role, number) in self.waiting]
        for number in held:
            yield Hold(batch.role, number, "told to")
        counts: list[str] = []
        flowing = np.flatnonzero(~np.isin(batch.partitions, held))
        for row in flowing.tolist():
            number = int(batch.partitions[row])
            staged = self.staged.setdefault(number, {}).setdefault(batch.role, [])
            staged.append(self._row(batch, row, self.now_plan))
            counts.append(self._count(number, batch.role))
        self.answered += len(counts)
        if batch.role == "features" and counts:
            topic_id = to_bytes(self.topic_ids["features"])
            partitions, offsets = batch.partitions[flowing], batch.offsets[flowing]
            values = predictions(partitions, offsets, topic_id, Strings.from_list([c.encode() for c in counts]))
            yield Publish("predictions", [batch.keys[row] for row in flowing], values, partitions.tolist())

    def _row(self, batch: Batch, row: int, weight: int) -> Row:
        entity = (batch.keys[row] or b"").decode()
        return Row(int(batch.offsets[row]), int(batch.timestamps_ms[row]), entity, weight)

    def _count(self, number: int, role: str) -> str:
        log = self._with_staged(number)[role]
        entity = log.rows[-1].entity
        return f"{entity}={sum(row.weight for row in log.within(self.reach_ms) if row.entity == entity)}"

    def _with_staged(self, number: int) -> dict[str, _Log]:
        staged = self.staged.get(number, {})
        return {role: _Log(log.rows + staged.get(role, [])) for role, log in self.states[number].items()}

    def begin(self, partition: int) -> None:
        """See `Stateful`."""
        self.states[partition] = {role: _Log() for role in INPUTS}
        self.staged.pop(partition, None)

    def forget(self, partition: int) -> None:
        """See `Stateful`."""
        self.states.pop(partition, None)
        self.staged.pop(partition, None)

    def committed(self, partition: int) -> None:
        """See `Stateful`."""
        self.states[partition] = self._with_staged(partition)
        self.staged.pop(partition, None)

    def discarded(self, partition: int) -> None:
        """See `Stateful`."""
        self.staged.pop(partition, None)

    def take_in(self, batch: Batch, plan: int) -> None:
        """See `Stateful`."""
        Counter.folded += len(batch)
        (number,) = batch.spans
        self.states[number][batch.role].rows += [self._row(batch, row, plan) for row in range(len(batch))]

    def dump(self, partition: int) -> bytes:
        """See `Stateful`."""
        logs = self._with_staged(partition)
        return json.dumps({role: log.within(self.reach_ms) for role, log in sorted(logs.items())}).encode()

    def load(self, partition: int, body: bytes) -> None:
        """See `Stateful`."""
        for role, rows in json.loads(body).items():
            self.states[partition][role] = _Log([Row(*row) for row in rows])

    def dump_rows(self, role: str, partition: int, first: int, end: int) -> bytes:
        """See `Stateful`."""
        rows = self._with_staged(partition)[role].rows
        return json.dumps([row for row in rows if first <= row.offset < end]).encode()

    def load_rows(self, role: str, partition: int, body: bytes) -> None:
        """See `Stateful`."""
        self.states[partition][role].rows += [Row(*row) for row in json.loads(body)]


class Checkpointed(Counter):
    """All of it in one record, every few rows."""

    kept = Checkpoint(f"checkpoints/{SERVICE}", rows=10)


class Slabbed(Counter):
    """A record for every eight offsets of each input."""

    kept = Slabs(f"slabs/{SERVICE}", rows=8)


class Windowed(Slabbed):
    """The same of the last minute only."""

    @property
    def reach_ms(self) -> int:
        """See `Stateful`."""
        return 60_000


KINDS: tuple[type[Counter], ...] = (Counter, Checkpointed, Slabbed, Windowed)


def check_counts(answers: Iterable[tuple[int, int, str]]) -> None:
    """Each answer, `entity=count`, in order of partition and offset, has the count of an uncrashed worker."""
    counts: dict[tuple[int, str], int] = {}
    for partition, offset, said in answers:
        entity, count = said.split("=")
        counts[partition, entity] = counts.get((partition, entity), 0) + 1
        assert int(count) == counts[partition, entity], f"{partition}/{offset} was told {said}"
