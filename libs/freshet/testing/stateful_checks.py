"""What every logic with state must be, whoever wrote it."""

from collections.abc import Callable
from random import Random
from typing import Final

from freshet.contracts.batch import Batch
from freshet.contracts.stateful import Stateful
from freshet.contracts.topics import topic_table
from freshet.runtime.bus.memory import SimulatedCrash
from freshet.runtime.bus.protocol import BusError
from freshet.runtime.data_loop import DataLoop
from freshet.runtime.recovery import Clue
from freshet.testing.conformance import ConformanceError, require
from freshet.testing.memory_pipeline import MemoryPipeline

_PARTITIONS: Final = 2
_CALLS_OF_A_TURN: Final = 25
_PATIENCE: Final = 400

Row = tuple[bytes | None, bytes]
"""Key and value of a record."""


def three_entities(chance: Random, role: str) -> Row:  # noqa: ARG001
    """A record of one of three entities, for logics that look at keys only."""
    return chance.choice([b"a", b"b", b"c"]), b"v"


def check_stateful_logic(
    make: Callable[[], Stateful],
    service: str,
    *,
    row: Callable[[Random, str], Row] = three_entities,
    prepare: Callable[[MemoryPipeline], None] | None = None,
    judge: Callable[[MemoryPipeline], None] | None = None,
    references: tuple[Clue, ...] = (),
    seeds: range = range(25),
    acts: int = 80,
) -> None:
    """Check that a logic's state is a function of its inputs alone, whatever happens to its workers.

    `make` builds the logic of a worker of `service`; `row` a record of a role. `prepare` may write what the logic
    follows, `judge` may look at the answers, and `references` are the service's. Each seed is a run of `acts` on a
    Kafka in memory: rows come in any order of inputs and in batches of any size, commits are refused, workers die at
    any call, partitions move, and what was kept is lost. Half way and at the end, the state of every partition must
    have the bytes of one logic that `take_in` gave the inputs to, undisturbed. Raises ConformanceError, with the seed.
    """
    for seed in seeds:
        play(Play(make, service, seed, row=row, prepare=prepare, references=references), acts, judge)


def play(run: "Play", acts: int, judge: Callable[[MemoryPipeline], None] | None = None) -> None:
    """Let so many things happen, and judge half way and at the end. Raises ConformanceError."""
    try:
        for _ in range(2):
            for _ in range(acts // 2):
                run.act()
            run.settle()
            run.compare()
            if judge is not None:
                judge(run.pipeline)
    except ConformanceError:
        raise
    except Exception as error:
        raise ConformanceError(f"{run}: {type(error).__name__}: {error}") from error


class Play:
    """A run of chance over two workers, which may be dead."""

    def __init__(
        self,
        make: Callable[[], Stateful],
        service: str,
        seed: int | str,
        *,
        row: Callable[[Random, str], Row] = three_entities,
        prepare: Callable[[MemoryPipeline], None] | None = None,
        references: tuple[Clue, ...] = (),
    ) -> None:
        """See `check_stateful_logic`."""
        self.random, self._seed = Random(seed), seed  # noqa: S311 (a run is its seed)
        self._make, self._row = make, row
        logic = make()
        self._inputs, self._state_roles = logic.reads, [logic.kept.role] if logic.kept else []
        self._name = type(logic).__name__
        self.pipeline = MemoryPipeline(
            service,
            partitions=_PARTITIONS,
            roles=[*topic_table(), *self._state_roles],
            references=references,
            batch_rows=self.random.choice([1, 3, 8, 40]),
        )
        if prepare is not None:
            prepare(self.pipeline)
        self.fixed = self.random.random() < 0.5
        self.loops: dict[str, DataLoop | None] = dict.fromkeys("01")
        self.acts = self.crashes = 0
        self.lost = False

    def __str__(self) -> str:
        """Where a failure was, and how it can be had again."""
        lost = "some of what was kept was lost" if self.lost else "nothing that was kept was lost"
        return f"{self._name}, seed {self._seed}, after {self.acts} acts ({self.crashes} deaths; {lost})"

    def act(self) -> None:
        """One thing happens."""
        self.acts += 1
        things = {self.feed: 6, self.turn: 14, self.refuse: 2, self.crash: 1, self.close: 1, self.lose: 1, self.wait: 1}
        self.random.choices(list(things), list(things.values()))[0]()

    def feed(self) -> None:
        role = self.random.choice(self._inputs)
        rows = [self._row(self.random, role) for _ in range(self.random.randrange(1, 12))]
        partition = self.random.randrange(_PARTITIONS)
        self.pipeline.send(role, [key for key, _ in rows], [value for _, value in rows], partition)

    def turn(self) -> None:
        for slot in self.loops:
            self.turn_one(slot)

    def turn_one(self, slot: str) -> None:
        loop = self.loops[slot]
        try:
            if loop is None:
                loop = self.loops[slot] = self.pipeline.loop(self._make(), slot, fixed=self.fixed)
            self.pipeline.turn(loop, times=1)
        except SimulatedCrash:
            self.loops[slot], self.crashes = None, self.crashes + 1
        except BusError:  # as its supervisor: close, and start it anew
            self.loops[slot] = None
            if loop is not None:
                loop.close()

    def refuse(self) -> None:
        self.pipeline.cluster.disconnect()

    def crash(self) -> None:
        """At some call of the next turn; then the broker notices, sooner or later, that the member is gone."""
        left = self.random.randrange(_CALLS_OF_A_TURN)

        def interrupt(_client: str, _operation: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                self.pipeline.cluster.before = None
                raise SimulatedCrash

        self.pipeline.cluster.before = interrupt
        self.turn_one(self.random.choice("01"))
        self.pipeline.cluster.before = None
        self.wait()

    def wait(self) -> None:
        """Transactions that the dead left open end, and their places in the group go to others."""
        pipeline = self.pipeline
        pipeline.clock.advance(20_000)
        pipeline.cluster.advance(20_000)
        group = pipeline.cluster.group(pipeline.names.group(pipeline.service))
        if not self.fixed and None in self.loops.values():
            for member in list(group.members):
                pipeline.cluster.expire(member)

    def close(self) -> None:
        slot = self.random.choice("01")
        loop, self.loops[slot] = self.loops[slot], None
        if loop is not None:
            loop.close()

    def lose(self) -> None:
        """All that was kept is lost, or only what compaction takes."""
        cluster, names = self.pipeline.cluster, self.pipeline.names
        if self.random.random() < 0.5:
            for role in self._state_roles:
                cluster.compact(names.topic(role))
        else:
            for role in self._state_roles:
                cluster.remake_topic(names.topic(role))
                self.lost = True

    def settle(self) -> None:
        """No more happens: everything is read, and every partition restored."""
        self.wait()
        for _ in range(_PATIENCE):
            self.turn()
            ready = all(loop is not None and loop.unready() is None for loop in self.loops.values())
            if ready and self.pipeline.drained(self._inputs):
                return
        waits = [loop and loop.unready() for loop in self.loops.values()]
        raise ConformanceError(f"{self}: not everything is answered although nothing more happens: {waits}")

    def compare(self) -> None:
        """The state of each partition is that of one who took in the inputs as they lie in the log."""
        for partition in range(_PARTITIONS):
            found, expected = self._owner(partition).dump(partition), self._undisturbed(partition)
            require(
                found == expected,
                f"{self}: the state of partition {partition} is not what its inputs lead to when `take_in` is given "
                f"them undisturbed. It is {_short(found)}; it must be {_short(expected)}.",
            )

    def _owner(self, partition: int) -> Stateful:
        for loop in self.loops.values():
            if loop is not None and any(place.partition == partition for place in loop.owned):
                assert isinstance(loop.logic, Stateful)
                return loop.logic
        raise ConformanceError(f"{self}: nobody reads partition {partition}")

    def _undisturbed(self, partition: int) -> bytes:
        logic = self._make()
        for role in self._inputs:
            logic.on_topic(role, self.pipeline.bus.topic_id(role))
        logic.begin(partition)
        for role in self._inputs:
            for batch in self.pipeline.read(role):
                rows = [record for record in batch.records if record.partition() == partition]
                if rows:
                    logic.take_in(Batch(role, rows), logic.plan)
        return logic.dump(partition)


def _short(state: bytes) -> str:
    return repr(state) if len(state) <= 300 else f"{state[:300]!r} and {len(state) - 300} bytes more"
