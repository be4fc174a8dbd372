"""Workers of one service under chance: rows in any order and batches, refused commits, deaths, moved partitions."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final, Generic, NamedTuple, TypeVar

from freshet.contracts.logic import Logic
from freshet.contracts.topic_table import topic_table
from freshet.runtime.bus.memory import SimulatedCrash
from freshet.runtime.bus.protocol import BusError
from freshet.runtime.data_loop import DataLoop
from freshet.runtime.jobs import Runner
from freshet.runtime.recovery import Clue
from freshet.runtime.service import no_jobs
from freshet.testing.conformance import ConformanceError
from freshet.testing.memory_pipeline import MemoryPipeline

PARTITIONS: Final = 2
_CALLS_OF_A_TURN: Final = 25
_PATIENCE: Final = 400

L = TypeVar("L", bound=Logic)

Row = tuple[bytes | None, bytes]
"""Key and value of a record."""


def three_entities(chance: Random, role: str) -> Row:  # noqa: ARG001
    """A record of one of three entities, for logics that look at keys only."""
    return chance.choice([b"a", b"b", b"c"]), b"v"


class Fed(NamedTuple):
    """Rows as they were appended to an input."""

    at_ms: int
    role: str
    rows: list[Row]
    partition: int


def play(run: "Play[Any]", acts: int, judge: Callable[[MemoryPipeline], None] | None = None) -> None:
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


class Play(ABC, Generic[L]):
    """A run of chance over two workers, which may be dead."""

    def __init__(
        self,
        make: Callable[[], L],
        service: str,
        seed: int | str,
        *,
        row: Callable[[Random, str], Row] = three_entities,
        prepare: Callable[[MemoryPipeline], None] | None = None,
        references: tuple[Clue, ...] = (),
        jobs: Runner = no_jobs,
        more_roles: tuple[str, ...] = (),
    ) -> None:
        """See `check_stateful_logic`; `more_roles` are topics beside those of `schemas/topics.yaml`."""
        self.random, self._seed = Random(seed), seed  # noqa: S311 (a run is its seed)
        self._make, self._row = make, row
        self._jobs = jobs
        logic = make()
        self.inputs, self._name = logic.reads, type(logic).__name__
        self.fed: list[Fed] = []
        self._prepare, self._service, self._references, self._more_roles = prepare, service, references, more_roles
        self.pipeline = self.new_pipeline(batch_rows=self.random.choice([1, 3, 8, 40]))
        self.fixed = self.random.random() < 0.5
        self.loops: dict[str, DataLoop | None] = dict.fromkeys("01")
        self.acts = self.crashes = 0

    def new_pipeline(self, batch_rows: int) -> MemoryPipeline:
        """A cluster of its own with all topics, prepared."""
        pipeline = MemoryPipeline(
            self._service,
            partitions=PARTITIONS,
            roles=[*topic_table(), *self._more_roles],
            references=self._references,
            batch_rows=batch_rows,
        )
        if self._prepare is not None:
            self._prepare(pipeline)
        return pipeline

    def __str__(self) -> str:
        """Where a failure was, and how it can be had again."""
        return f"{self._name}, seed {self._seed}, after {self.acts} acts ({self.happened()})"

    def happened(self) -> str:
        """How hard it was."""
        return f"{self.crashes} deaths"

    def things(self) -> Mapping[Callable[[], None], int]:
        """What may happen, and how often beside the others."""
        return {self.feed: 6, self.turn: 14, self.refuse: 2, self.crash: 1, self.close: 1, self.wait: 1}

    def act(self) -> None:
        """One thing happens."""
        self.acts += 1
        things = self.things()
        self.random.choices(list(things), list(things.values()))[0]()

    def feed(self) -> None:
        """Somebody appends a few rows to an input."""
        role = self.random.choice(self.inputs)
        rows = [self._row(self.random, role) for _ in range(self.random.randrange(1, 12))]
        partition = self.random.randrange(PARTITIONS)
        self.pipeline.send(role, [key for key, _ in rows], [value for _, value in rows], partition)
        self.fed.append(Fed(self.pipeline.cluster.now_ms, role, rows, partition))

    def turn(self) -> None:
        """All workers turn."""
        for slot in self.loops:
            self.turn_one(slot)

    def turn_one(self, slot: str) -> None:
        """One worker turns, and is started first if it is dead."""
        loop = self.loops[slot]
        try:
            if loop is None:
                loop = self.loops[slot] = self.started(slot, self.pipeline)
            self.pipeline.turn(loop, times=1)
        except SimulatedCrash:
            self.loops[slot], self.crashes = None, self.crashes + 1
        except BusError:  # as its supervisor: close, and start it anew
            self.loops[slot] = None
            if loop is not None:
                loop.close()

    def started(self, slot: str, pipeline: MemoryPipeline) -> DataLoop:
        """A new worker."""
        return pipeline.loop(self._make(), slot, fixed=self.fixed, jobs=self._jobs)

    def refuse(self) -> None:
        """Every connection breaks: commits that are under way are refused."""
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
        pipeline.pass_time(20_000)
        if not self.fixed and None in self.loops.values():
            for member in list(pipeline.group.members):
                pipeline.cluster.expire(member)

    def close(self) -> None:
        """A worker leaves."""
        slot = self.random.choice("01")
        loop, self.loops[slot] = self.loops[slot], None
        if loop is not None:
            loop.close()

    @abstractmethod
    def compare(self) -> None:
        """What must hold once everything is settled; raises ConformanceError."""

    def settle(self) -> None:
        """No more happens: everything is read, every worker is ready, and every partition has an owner."""
        self.wait()
        for _ in range(_PATIENCE):
            self.turn()
            loops = [loop for loop in self.loops.values() if loop is not None and loop.unready() is None]
            owned = {place for loop in loops for place in loop.owned}  # a partition on its way has no owner yet
            settled = len(loops) == len(self.loops) and len(owned) == PARTITIONS * len(self.inputs)
            if settled and self.pipeline.drained(self.inputs):
                return
        waits = [loop and loop.unready() for loop in self.loops.values()]
        raise ConformanceError(f"{self}: not everything is answered although nothing more happens: {waits}")
