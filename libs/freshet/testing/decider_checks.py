"""What every decider must be, whoever wrote it."""

from collections.abc import Callable
from random import Random
from threading import Event
from typing import Final

from freshet.avro.control import encode
from freshet.contracts.logic import Announce, Decider, Fact, Outcome, Start
from freshet.runtime.bus.memory import SimulatedCrash
from freshet.runtime.bus.protocol import FatalError
from freshet.runtime.feed import Feed, roles_of
from freshet.runtime.jobs import Runner
from freshet.runtime.owner_loop import OwnerLoop
from freshet.runtime.service import no_jobs
from freshet.testing.conformance import ConformanceError, require
from freshet.testing.memory_pipeline import MemoryPipeline

_CALLS_OF_A_TURN: Final = 12
_PATIENCE: Final = 400
_QUIET: Final = 40  # turns: 2.4 s, and what a decider looks at from time to time it looks at once a second

_ROUNDS: Final = 5

Written = tuple[str, str, bytes | None]
"""Role, key and value of a record that a decider wants to write."""


def check_decider(
    make: Callable[[], Decider],
    service: str,
    *,
    happen: Callable[[Random, MemoryPipeline], None],
    prepare: Callable[[MemoryPipeline], None] | None = None,
    judge: Callable[[MemoryPipeline], None] | None = None,
    jobs: Runner = no_jobs,
    seeds: range = range(25),
    acts: int = 40,
) -> None:
    """Check that a decider's state is on its topics, so that whoever takes over decides the same.

    `make` builds the decider of an owner of `service`. `happen` writes something that it follows to the control topics,
    such as a command; `prepare` what is there before, and `jobs` runs what it starts. `judge` may look at what was
    decided. Each seed is a run of `acts` on a Kafka in memory: things happen, time passes, the owner dies at any call,
    its commits are refused, and another process takes over. Half way and at the end nothing more happens. Then the
    owner must come to rest, and a decider that has just folded the topics must write nothing either: neither in
    whatever order the topics' records reach it, nor where it reads some of them twice. Raises ConformanceError, with
    the seed.
    """
    for seed in seeds:
        play = DeciderPlay(make, service, seed, happen=happen, prepare=prepare, jobs=jobs)
        try:
            for _ in range(2):
                for _ in range(acts // 2):
                    play.act()
                play.settle()
                play.compare()
                if judge is not None:
                    judge(play.pipeline)
        except ConformanceError:
            raise
        except Exception as error:
            raise ConformanceError(f"{play}: {type(error).__name__}: {error}") from error


class DeciderPlay:
    """A run of chance over one owner and its successors."""

    def __init__(
        self,
        make: Callable[[], Decider],
        service: str,
        seed: int | str,
        *,
        happen: Callable[[Random, MemoryPipeline], None],
        prepare: Callable[[MemoryPipeline], None] | None = None,
        jobs: Runner = no_jobs,
    ) -> None:
        """See `check_decider`."""
        self.random, self._seed = Random(seed), seed  # noqa: S311 (a run is its seed)
        self._make, self._happen, self._jobs = make, happen, jobs
        self.pipeline = MemoryPipeline(service)
        if prepare is not None:
            prepare(self.pipeline)
        self._owner: OwnerLoop | None = None
        self.acts = self.successors = 0

    def __str__(self) -> str:
        """Where a failure was, and how it can be had again."""
        name = type(self._make()).__name__
        return f"{name}, seed {self._seed}, after {self.acts} acts ({self.successors} processes took over)"

    def act(self) -> None:
        """One thing happens."""
        self.acts += 1
        things = {self.happen: 6, self.turn: 8, self.crash: 3, self.refuse: 1, self.take_over: 1, self.pass_time: 1}
        self.random.choices(list(things), list(things.values()))[0]()

    def happen(self) -> None:
        """Somebody writes what the decider follows."""
        self._happen(self.random, self.pipeline)

    def turn(self) -> int:
        """The owner turns, and is started first if it is dead. How many records it wrote."""
        try:
            if self._owner is None:
                self.take_over()
            assert self._owner is not None
            self.pipeline.pass_time(60)
            return self._owner.step(0.0)
        except (SimulatedCrash, FatalError):
            self._owner = None
            return 0

    def crash(self) -> None:
        """The process dies at some call of the next turns."""
        left = self.random.randrange(1, _CALLS_OF_A_TURN)

        def interrupt(_client: str, _operation: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise SimulatedCrash

        self.pipeline.cluster.before = interrupt
        for _ in range(3):
            self.turn()
        self.pipeline.cluster.before = None

    def refuse(self) -> None:
        """Every connection breaks, and commits that are under way are refused."""
        self.pipeline.cluster.disconnect()

    def take_over(self) -> None:
        """Another process becomes the owner; the one before, if it lives, does not know yet."""
        before, self._owner = self._owner, self.pipeline.owner(self._make(), jobs=self._jobs)
        self.successors += 1
        if before is not None:
            self._owner.step(0.0)
            try:
                before.step(0.0)
            except FatalError:
                before.close()

    def pass_time(self) -> None:
        """For as long as a broker keeps an open transaction."""
        self.pipeline.pass_time(20_000)

    def settle(self) -> None:
        """No more happens: the owner has nothing more to decide."""
        self.pass_time()
        quiet = 0
        for _ in range(_PATIENCE):
            quiet = quiet + 1 if self.turn() == 0 and self._owner is not None and not self._owner.unready() else 0
            if quiet == _QUIET:
                return
        raise ConformanceError(f"{self}: it goes on deciding although nothing more happens.")

    def compare(self) -> None:
        """Whoever has just folded the topics wants nothing either."""
        facts = self._facts()
        roles = sorted({fact.role for fact in facts})
        self.random.shuffle(roles)
        orders = {
            "folds the topics": facts,
            "folds one topic after the other": [fact for role in roles for fact in facts if fact.role == role],
            "folds some records twice": [fact for fact in facts for _ in range(self.random.choice([1, 2]))],
        }
        for how, order in orders.items():
            wanted = self._wanted(order)
            require(
                not wanted,
                f"{self}: the owner is at rest, but a successor that {how} wants {wanted[:3]}. What is decided may "
                "depend on nothing but the topics, and on no order between them.",
            )

    def _facts(self) -> list[Fact]:
        decider = self._make()
        feed, found = Feed(self.pipeline.bus.reader(roles_of(decider.follows, decider.owns))), list[Fact]()
        while not feed.caught_up():
            found += feed.facts()
        feed.close()
        return found

    def _wanted(self, facts: list[Fact]) -> list[Written]:
        decider = self._make()
        for fact in facts:
            decider.fold(fact)
        return [written for pipeline in decider.pipelines() for written in self._decided(decider, pipeline)]

    def _decided(self, decider: Decider, pipeline: str) -> list[Written]:
        """What it wants to write. What a job found is on no topic, so it may run its jobs again before it knows."""
        for _ in range(_ROUNDS):
            effects = list(decider.decide(pipeline, self.pipeline.clock.now_ms()))
            announced = [effect for effect in effects if isinstance(effect, Announce)]
            jobs = [effect.job for effect in effects if isinstance(effect, Start)]
            if announced or not jobs:
                return [(one.role, one.key, None if one.message is None else encode(one.message)) for one in announced]
            for job in jobs:
                decider.on_job(Outcome(job, self._jobs(job, Event())))
        raise ConformanceError(f"{self}: a successor runs jobs for ever ({type(job).__name__}).")
