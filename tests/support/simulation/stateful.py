"""Chance against a logic with state: two workers, and what may happen to them, their commits and what they keep."""

from random import Random

from freshet.runtime.bus.memory import SimulatedCrash
from freshet.runtime.bus.protocol import BusError
from freshet.runtime.data_loop import DataLoop
from support.state_stage import KEPT, NAMES, Stage
from support.stateful import INPUTS, Counter

PARTITIONS = 2


def expected(stage: Stage, kind: type[Counter], partition: int) -> bytes:
    """The state of one who takes in the inputs as they lie in the log, one after the other."""
    logic = kind()
    logic.begin(partition)
    for role in INPUTS:
        for batch in stage.read(role):
            rows = [record for record in batch.records if record.partition() == partition]
            if rows:
                logic.take_in(type(batch)(role, rows), logic.plan)
    return logic.dump(partition)


class Play:
    """A run of chance over two workers, which may be dead."""

    def __init__(self, kind: type[Counter], seed: int | str) -> None:
        self.random = Random(seed)
        self.stage = Stage(kind, PARTITIONS, rows=self.random.choice([1, 3, 8, 40]))
        self.fixed = self.random.random() < 0.5
        self.loops: dict[str, DataLoop | None] = dict.fromkeys("01")
        self.crashes = 0
        self.lost = False

    def act(self) -> None:
        """One thing happens."""
        things = {self.feed: 6, self.turn: 14, self.refuse: 2, self.crash: 1, self.close: 1, self.lose: 1, self.wait: 1}
        self.random.choices(list(things), list(things.values()))[0]()

    def feed(self) -> None:
        self.stage.feed(self.random.randrange(1, 12), self.random.choice(INPUTS), self.random.randrange(PARTITIONS))

    def turn(self) -> None:
        for slot in self.loops:
            self.turn_one(slot)

    def turn_one(self, slot: str) -> None:
        loop = self.loops[slot]
        try:
            loop = self.loops[slot] = loop or self.stage.worker(slot, fixed=self.fixed)
            self.stage.turn(loop, times=1)
        except SimulatedCrash:
            self.loops[slot], self.crashes = None, self.crashes + 1
        except BusError:  # as its supervisor: close, and start it anew
            self.loops[slot] = None
            if loop is not None:
                loop.close()

    def refuse(self) -> None:
        self.stage.cluster.disconnect()

    def crash(self) -> None:
        """At some call of the next turn; then the broker notices, sooner or later, that the member is gone."""
        left = self.random.randrange(25)

        def strike(_client: str, _operation: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                self.stage.cluster.before = None
                raise SimulatedCrash

        self.stage.cluster.before = strike
        self.turn_one(self.random.choice("01"))
        self.stage.cluster.before = None
        self.wait()

    def wait(self) -> None:
        """Transactions that the dead left open end, and their places in the group go to others."""
        self.stage.clock.advance(20_000)
        self.stage.cluster.advance(20_000)
        group = self.stage.cluster.group(NAMES.group("counter"))
        for member in group.members if not self.fixed and None in self.loops.values() else ():
            self.stage.cluster.expire(member)

    def close(self) -> None:
        slot = self.random.choice("01")
        loop, self.loops[slot] = self.loops[slot], None
        if loop is not None:
            loop.close()

    def lose(self) -> None:
        """All that was kept is lost, or only what compaction takes."""
        if self.random.random() < 0.5:
            for role in {*KEPT.values()}:
                self.stage.cluster.compact(NAMES.topic(role))
        elif self.stage.kind in KEPT:
            self.stage.lose_state()
            self.lost = True

    def owner(self, partition: int) -> Counter:
        """The logic of the worker that reads this partition."""
        for loop in self.loops.values():
            assert loop is not None
            if (INPUTS[0], partition) in loop._partitions._known:
                assert isinstance(loop.logic, Counter)
                return loop.logic
        raise AssertionError(f"nobody reads partition {partition}")

    def settle(self) -> None:
        """No more happens: everything is read, and every partition restored."""
        self.wait()
        for _ in range(400):
            self.turn()
            ends = {(role, n): span.end for role in INPUTS for n, span in self.stage.bus.spans(role).items()}
            ready = all(loop is not None and loop.unready() is None for loop in self.loops.values())
            if ready and all(self.stage.committed(*place)[0] == end for place, end in ends.items()):
                return
        raise AssertionError([loop and loop.unready() for loop in self.loops.values()])


def play_state(kind: type[Counter], seed: int | str, acts: int) -> Play:
    """Let so many things happen, and judge half way and at the end. Raises AssertionError, and what nobody expected."""
    play = Play(kind, seed)
    for _ in range(2):
        for _ in range(acts // 2):
            play.act()
        play.settle()
        for partition in range(PARTITIONS):
            assert play.owner(partition).dump(partition) == expected(play.stage, kind, partition)
        answers = play.stage.answers()
        inputs = [(r.partition(), r.offset()) for b in play.stage.read("features") for r in b.records]
        assert [answer[:2] for answer in answers] == sorted(inputs)
        if kind.reach_ms is None:
            counts: dict[tuple[int, str], int] = {}
            for partition, _, said in answers:
                entity, count = said.split("=")
                counts[partition, entity] = counts.get((partition, entity), 0) + 1
                assert int(count) == counts[partition, entity]
    return play
