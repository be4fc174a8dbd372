"""Decides what happens next, between the turns of the processes and inside them, before any call of their clients."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from freshet.runtime.bus.memory import SimulatedCrash, Step
from freshet.runtime.bus.memory.partition_log import PartitionLog
from freshet.runtime.bus.protocol import FatalError, RefusedError, RetriableError
from support.simulation.laws import Laws
from support.simulation.operations import Operations
from support.simulation.people import People
from support.simulation.processes import Process
from support.simulation.world import World

KINDS: Final = frozenset(
    {"start", "kill", "crash", "away", "window", "rival", "interrupted", "lag", "disconnect"}
    | {"slow commit", "lost acknowledgement", "refused"}
    | {"feed", "junk", "label", "offer", "ask", "apply", "interrupted apply", "clock", "time", "expire", "compact"}
    | {"retention", "emptied", "made anew", "grown", "lost offsets", "reset", "moved"}
)
"""Everything that may happen, by the names under which it is counted."""

_WINDOW: Final = 0.03
"""How often something happens before a client call; a run of 50 steps makes about 1,500 of them."""
_COMMIT_WINDOW: Final = 0.08
"""How often at one of a commit's steps."""
_SELDOM: Final = frozenset({"open", "mark_ends", "consumer", "close"})
_SELDOM_WINDOW: Final = 0.15
"""How often before a call that a process makes once in its life: it has no second chance to be interrupted there."""
_RIVAL: Final = 0.4
"""How often what happens there is the turn of another process of the same service: who else would do the same work."""
_DEEPEST: Final = 2
_MAY_FAIL: Final = frozenset({"collect", "committed", "span", "open", "send", "spans", "mark_ends", "consumer"})


class Scheduler:
    """Acts on a world until `calm`. Every choice comes from the world's random numbers."""

    def __init__(self, world: World, laws: Laws) -> None:
        self.world, self._random = world, world.random
        self.trail: list[str] = []
        self.done: Counter[str] = Counter()
        self.steps = 0
        self._running: list[Process] = []
        self._behind_ms = 0
        self._outside = 0
        """More than 0 while somebody acts who is no process: nothing happens before their calls."""
        acts: dict[Callable[[], None], int] = {self._turn: 60, self._start: 8, self._kill: 3, self._lag: 2}
        acts |= People(world, self._note, self._run).deeds()
        acts |= Operations(world, laws, self._note).deeds()
        self._acts, self._weights = list(acts), list(acts.values())
        world.cluster.before = self._before
        world.cluster.failpoint = self._at_commit
        if self._random.random() < 0.5:
            self._lag()

    def act(self) -> None:
        """One thing that happens between two turns."""
        self.steps += 1
        self._act()

    def stop(self) -> None:
        """Nothing happens any more by itself."""
        cluster = self.world.cluster
        cluster.before = cluster.failpoint = cluster.stale = None

    # The windows

    def _before(self, client: str, operation: str) -> None:
        if self._outside or not self._running:
            return
        running = self._running[-1]
        if running.away and operation in _MAY_FAIL:
            running.away -= 1
            raise RetriableError("the connection is broken.")
        if self._random.random() > (_SELDOM_WINDOW if operation in _SELDOM else _WINDOW):
            return
        what = self._random.random()
        if what < 0.25:
            self._note("crash", f"before {client} {operation}")
            raise SimulatedCrash
        if what < 0.35 and operation in _MAY_FAIL:
            self._note("away", f"at {client} {operation}")
            raise RetriableError("the broker is away.")
        if len(self._running) <= _DEEPEST:
            self._meanwhile(f"before {client} {operation}")

    def _at_commit(self, step: Step, transactional_id: str) -> None:
        if self._outside or not self._running or self._random.random() > _COMMIT_WINDOW:
            return
        what = self._random.random()
        if step == "committed" and what < 0.4:
            self._note("lost acknowledgement", transactional_id)
            raise FatalError("committing did not succeed within 30 s.")
        if what < 0.3:
            self._note("crash", f"{transactional_id} at {step}")
            raise SimulatedCrash
        if what < 0.5:
            self._note("slow commit", f"{transactional_id} at {step}")
            self.world.cluster.advance(self._random.choice([100, 3_000, 16_000]))
        elif what < 0.65 and step != "committed":
            self._note("refused", f"{transactional_id} at {step}")
            raise RefusedError("the broker says no.")
        elif len(self._running) <= _DEEPEST:
            self._meanwhile(f"{transactional_id} at {step}")

    def _meanwhile(self, where: str) -> None:
        self._note("window", f"{where}:")
        service = self._running[-1].service
        for _ in range(self._random.choice([1, 2, 3])):
            rivals = [process for process in self.world.of(service) if process.loop is not None and not process.busy]
            if rivals and self._random.random() < _RIVAL:
                rival = self._random.choice(rivals)
                self._note("rival", rival.name)
                self._run(rival, rival.step)
            else:
                self._act()

    def _stale(self, client: str, log: PartitionLog) -> int:
        """What was there some time ago, and of some partitions nothing at all."""
        if client != "reader" or not self._running or self._outside:
            return log.last_stable_offset
        return log.low if self._random.random() < 0.2 else log.offset_at(self.world.cluster.now_ms - self._behind_ms)

    # What happens

    def _act(self) -> None:
        self._outside += 1
        try:
            self._random.choices(self._acts, self._weights)[0]()
        finally:
            self._outside -= 1

    def _note(self, what: str, detail: str = "") -> None:
        self.done[what] += 1
        inside = " > ".join(process.name for process in self._running)
        self.trail.append(f"{self.steps:3} {inside and f'in {inside}: '}{what} {detail}")

    def _turn(self) -> None:
        for process in self._random.sample(self.world.processes, 1 if self._running else 3):
            if process.loop is not None and not process.busy:
                self._run(process, process.step)

    def _start(self) -> None:
        process = self._random.choice(self.world.processes)
        if process.loop is None and not process.busy:
            self._note("start", process.name)
            self._run(process, process.start)

    def _run(self, process: Process, doing: Callable[[], None]) -> None:
        self.world.cluster.advance(20)
        outside, self._outside = self._outside, 0
        self._running.append(process)
        try:
            doing()
        finally:
            self._running.pop()
            self._outside = outside

    def _kill(self) -> None:
        process = self._random.choice(self.world.processes)
        if process.loop is not None and not process.busy:
            self._note("kill", process.name)
            process.kill()

    def _lag(self) -> None:
        """From now on those who follow control topics see them late, or at once again."""
        self._behind_ms = 0 if self._behind_ms else self._random.choice([50, 200, 1_000, 5_000])
        self._note("lag", f"of {self._behind_ms} ms")
        self.world.cluster.stale = self._stale if self._behind_ms else None
