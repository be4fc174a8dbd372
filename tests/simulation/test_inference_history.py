"""Many workers, any interleaving: whatever happens, the log alone tells who answered what, and each row has one end.

A loop in miniature: partitions move between workers that lag behind the control topics by different amounts, loads
fail, transactions are refused, processes die, and a version goes bad in service. The checkers look only at what was
committed.
"""

import random
from dataclasses import dataclass, field

import numpy as np
import pytest

from freshet.contracts.arrays import Floats32
from freshet.contracts.logic import Effect
from freshet.contracts.messages import Message, Phase, Rollout
from freshet.contracts.position import Position
from freshet.inference.core.positions import ModelMissingError
from support.inference import (
    Answer,
    Row,
    Worker,
    answers,
    cuts,
    dead,
    held,
    marks,
    model,
    rollout,
    sound,
    specification,
    vector,
)

PARTITIONS = 3
ROWS = 240
VERSIONS = ("v0", "v1", "v2", "bad")
RECORDS = {
    (partition, at): vector(partition, at) if at % 29 else Row(partition, at, b"junk")
    for partition in range(PARTITIONS)
    for at in range(ROWS)
}


def bad(rows: Floats32) -> Floats32:
    """A version that admission let through: fine on some batches, NaN on others."""
    scores = sound("bad")(rows)
    if rows[0, 0] > 2:
        scores[:] = np.nan
    return scores


@dataclass
class Member:
    """A worker in the group: how much of the control log it has seen, and its partitions with their read positions."""

    worker: Worker
    seen: int = 0
    reading: dict[int, int] = field(default_factory=dict)
    held: set[int] = field(default_factory=set)


class World:
    """Committed state, and a group of members that change it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.control: list[Message] = [specification(), *map(model, VERSIONS), rollout(1, "v0")]
        self.epochs = {1: rollout(1, "v0")}
        self.committed = dict.fromkeys(range(PARTITIONS), (0, "e=0 f=0"))
        self.answered: list[Answer] = []
        self.set_aside: list[tuple[int, int]] = []
        self.cuts: list[tuple[int, int, int, int, str]] = []
        self.members = [self._member() for _ in range(2)]
        self._rebalance()

    def run(self, steps: int) -> None:
        """Random events, then calm: all is learned and loaded, and every row must find its end."""
        actions = {self._decide: 4, self._learn: 6, self._tick: 9, self._poll: 12, self._rebalance: 1, self._die: 1}
        for action in self.random.choices(list(actions), list(actions.values()), k=steps):
            action()
        self._issue(rollout(max(self.epochs) + 1, "v0"))
        for _ in range(150):
            for member in self.members:
                member.worker.broken.clear()
                self._learn_some(member, len(self.control))
                self._tick_one(member)
                self._poll_one(member, refused=False)

    def version_at(self, position: Position) -> str:
        """Who answers at this position, by the epoch's record."""
        record = self.epochs[position.epoch]
        champion = record.table[0].version
        return record.understudies[champion] if position.fallback else champion

    # -- what may happen ----------------------------------------------------------------------------------------------

    def _decide(self) -> None:
        """The registry prepares, promotes, aborts or rolls back."""
        epoch, pick = max(self.epochs) + 1, self.random.choice
        version, understudy = pick(VERSIONS), pick(("", "v0", "v0", "v1"))
        phases: tuple[Phase, ...] = ("prepare", "live", "live")
        opened = [known for known in self.epochs.values() if known.phase == "prepare"]
        if opened:
            self._issue(opened[0].model_copy(update={"phase": pick(("live", "aborted"))}))
        else:
            stand_in = understudy if understudy != version else ""
            self._issue(rollout(epoch, version, phase=pick(phases), understudy=stand_in, resident=[version, "v0"]))

    def _issue(self, record: Rollout) -> None:
        self.epochs[record.epoch] = record
        self.control.append(record)

    def _learn(self) -> None:
        self._learn_some(self.random.choice(self.members), self.random.randrange(4))

    def _learn_some(self, member: Member, count: int) -> None:
        member.worker.learn(*self.control[member.seen : member.seen + count])
        member.seen = min(member.seen + count, len(self.control))

    def _tick(self) -> None:
        self._tick_one(self.random.choice(self.members))

    def _tick_one(self, member: Member) -> None:
        try:
            member.worker.tick(self.random.choice((50, 2_000, 40_000)))
            member.held &= set(member.worker.waiting)
        except ModelMissingError:
            self._replace(member)

    def _poll(self) -> None:
        self._poll_one(self.random.choice(self.members), refused=self.random.random() < 0.3)

    def _poll_one(self, member: Member, *, refused: bool) -> None:
        rows = []
        for partition in sorted(member.reading.keys() - member.held):
            first = member.reading[partition]
            rows += [(partition, at) for at in range(first, min(first + self.random.randrange(7), ROWS))]
        if not rows:
            return
        effects = member.worker.answer(*map(RECORDS.__getitem__, rows))
        if refused:
            for partition in sorted(member.reading.keys() - member.held):
                self._assign(member, partition)
            return
        self._commit(member, rows, effects)

    def _commit(self, member: Member, rows: list[tuple[int, int]], effects: list[Effect]) -> None:
        member.held |= set(held(effects))
        self.answered += answers(effects)
        self.cuts += cuts(effects)
        self.set_aside += [rows[row] for found in dead(effects).values() for row in found]
        for partition, metadata in marks(effects).items():
            end = 1 + max(at for number, at in rows if number == partition)
            member.reading[partition] = end
            self.committed[partition] = (end, metadata)

    def _rebalance(self) -> None:
        for member in self.members:
            for partition in member.reading:
                member.worker.logic.on_revoke("features", partition)
            member.reading, member.held = {}, set()
        for partition in range(PARTITIONS):
            self._assign(self.random.choice(self.members), partition)

    def _die(self) -> None:
        self._replace(self.random.choice(self.members))

    def _replace(self, member: Member) -> None:
        self.members[self.members.index(member)] = self._member()
        self._rebalance()

    # -- the shell ----------------------------------------------------------------------------------------------------

    def _member(self) -> Member:
        """A new process: it cannot load some versions, and may lag behind when it gets its partitions."""
        broken = {version: "load_failed: chance" for version in VERSIONS if self.random.random() < 0.35}
        member = Member(Worker(minds={"bad": bad}, broken=broken))
        self._learn_some(member, self.random.randrange(len(self.control) + 1))
        return member

    def _assign(self, member: Member, partition: int) -> None:
        offset, metadata = self.committed[partition]
        member.reading[partition] = offset
        waits = member.worker.assign(**{f"p{partition}": metadata})
        (member.held.add if waits else member.held.discard)(partition)


@pytest.mark.parametrize("seed", [*range(10), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(10, 30))])
def test_every_row_has_one_end_under_the_position_that_the_cutovers_tell(seed: int) -> None:
    """P1 and P2 of what is committed, and P3: calm returns, and the stream has not stopped."""
    world = World(seed)
    world.run(steps=300)
    ends = sorted([(answer.partition, answer.offset) for answer in world.answered] + world.set_aside)
    assert ends == [(partition, offset) for partition in range(PARTITIONS) for offset in range(ROWS)]
    assert set(world.set_aside) >= {place for place in ends if place[1] % 29 == 0}
    for partition in range(PARTITIONS):
        mine = sorted(
            (first, Position(epoch, fallback)) for p, first, epoch, fallback, _ in world.cuts if p == partition
        )
        positions = [position for _, position in mine]
        assert positions == sorted(set(positions)), "history went back, or one position was cut twice"
        told = {at: next(p for first, p in reversed(mine) if first <= at) for at in range(ROWS)}
        for answer in (answer for answer in world.answered if answer.partition == partition):
            assert (answer.version, answer.epoch, answer.fallback) == (
                world.version_at(told[answer.offset]),
                *told[answer.offset],
            )
            assert world.epochs[answer.epoch].phase == "live"
            assert np.isfinite(answer.scores).all()
        blamed = [at for number, at in world.set_aside if number == partition and at % 29]
        assert {world.version_at(told[at]) for at in blamed} <= {"bad"}
