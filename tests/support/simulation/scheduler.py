"""Decides what happens next, between the turns of the processes and inside them, before any call of their clients."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from freshet.contracts.messages import Action, Decision, ModelVersion
from freshet.runtime.bus import FatalError, RefusedError, RetriableError
from freshet.runtime.memory import SimulatedCrash, Step
from support.simulation.laws import Laws
from support.simulation.pipeline import CANDIDATES, REMEDY, Policy
from support.simulation.processes import Process
from support.simulation.world import INPUTS, NAMES, World

_WINDOW: Final = 0.03
"""How often something happens before a client call; a run of 50 steps makes about 1,500 of them."""
_DEEPEST: Final = 2
_MAY_FAIL: Final = frozenset({"collect", "committed", "span", "open", "send", "spans", "mark_ends", "consumer"})
_COMPACTED: Final = ("rollouts", "cutovers", "models", "pipelines", "candidates", "workers")


class Scheduler:
    """Acts on a world until `calm`. Every choice comes from the world's random numbers."""

    def __init__(self, world: World, laws: Laws) -> None:
        self.world, self._laws, self._random = world, laws, world.random
        self.trail: list[str] = []
        self.done: Counter[str] = Counter()
        self.steps = 0
        self._running: list[Process] = []
        self._outside = 0
        """More than 0 while somebody acts who is no process: nothing happens before their calls."""
        acts: dict[Callable[[], None], int] = {
            self._turn: 60,
            self._feed: 8,
            self._label: 3,
            self._junk: 1,
            self._start: 8,
            self._kill: 3,
            self._expire: 3,
            self._pass_time: 8,
            self._clock_jumps: 1,
            self._offer: 3,
            self._ask: 4,
            self._apply: 1,
            self._compact: 2,
            self._retain: 2,
            self._lag: 2,
            self._lose_offsets: 1,
        }
        self._acts, self._weights = list(acts), list(acts.values())
        world.cluster.before = self._before
        world.cluster.failpoint = self._at_commit

    def act(self) -> None:
        """One thing that happens between two turns."""
        self.steps += 1
        self._act()

    def calm(self) -> None:
        """Nothing happens any more that nobody wanted. One registry stays."""
        cluster, world = self.world.cluster, self.world
        cluster.before = cluster.failpoint = cluster.fetches = None
        world.minds.well = True
        world.processes.pop().kill()
        for service in ("ingestion", "inference"):
            for member in world.group(service).members:
                cluster.expire(member)
        for process in world.processes:
            process.clock.skew_ms = 0
        cluster.advance(60_000)

    def make_well(self) -> None:
        """What people do after trouble: resume, a policy that needs nobody, and a model that works."""
        self.world.command("resume")
        self.world.apply("immediate")
        self.world.offer("sound-9")

    def see_to_it(self) -> None:
        """What people do where that was not enough: promote the model that works."""
        world = self.world
        models = {m.manifest.digest: m.version for m in world.messages("models") if isinstance(m, ModelVersion)}
        version = models.get(REMEDY)
        if version is not None and self.settled() and world.serving() != version:
            world.command("promote", version)

    def settled(self) -> bool:
        """Whether every command was answered."""
        answered = {message.subject for message in self.world.messages("decisions") if isinstance(message, Decision)}
        return answered.issuperset(self.world.commands)

    # The windows

    def _before(self, client: str, operation: str) -> None:
        if self._outside or not self._running or self._random.random() > _WINDOW:
            return
        what = self._random.random()
        if what < 0.25:
            self._note("crash", f"before {client} {operation}")
            raise SimulatedCrash
        if what < 0.35 and operation in _MAY_FAIL:
            self._note("away", f"at {client} {operation}")
            raise RetriableError("the broker is away.")
        if len(self._running) <= _DEEPEST:
            self._note("window", f"before {client} {operation}:")
            self._act()

    def _at_commit(self, step: Step, transactional_id: str) -> None:
        if self._outside or not self._running or self._random.random() > 2 * _WINDOW:
            return
        what = self._random.random()
        if what < 0.3:
            self._note("crash", f"{transactional_id} at {step}")
            raise SimulatedCrash
        if what < 0.5:
            self._note("slow commit", f"{transactional_id} at {step}")
            self.world.cluster.advance(self._random.choice([100, 3_000, 16_000]))
        elif what < 0.6 and step == "committed":
            self._note("lost acknowledgement", transactional_id)
            raise FatalError("committing did not succeed within 30 s.")
        elif what < 0.7 and step != "committed":
            self._note("refused", f"{transactional_id} at {step}")
            raise RefusedError("the broker says no.")
        elif len(self._running) <= _DEEPEST:
            self._note("window", f"{transactional_id} at {step}:")
            self._act()

    def _fetches(self, client: str, limit: int) -> int:
        return (
            self._random.choice([0, 0, 1, 2, limit])
            if client == "reader" and self._running and not self._outside
            else limit
        )

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
                self._do(process, process.step)

    def _start(self) -> None:
        process = self._random.choice(self.world.processes)
        if process.loop is None and not process.busy:
            self._note("start", process.name)
            self._do(process, process.start)

    def _do(self, process: Process, doing: Callable[[], None]) -> None:
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

    def _feed(self) -> None:
        count = self._random.choice([1, 2, 5, 12])
        self._note("feed", str(count))
        self.world.feed(count)

    def _junk(self) -> None:
        self._note("junk")
        self.world.feed_junk()

    def _label(self) -> None:
        self.world.label(self._random.choice([1, 3, 8]))

    def _expire(self) -> None:
        group = self.world.group(self._random.choice(["ingestion", "inference"]))
        if group.members:
            member = self._random.choice(group.members)
            self._note("expire", member)
            self.world.cluster.expire(member)

    def _pass_time(self) -> None:
        self.world.cluster.advance(self._random.choice([60, 60, 1_000, 5_000, 31_000]))

    def _clock_jumps(self) -> None:
        process = self._random.choice(self.world.processes)
        process.clock.skew_ms = self._random.choice([-3_600_000, -1_000, 0, 1_000, 3_600_000])
        self._note("clock", f"of {process.name} is wrong by {process.clock.skew_ms} ms")

    def _offer(self) -> None:
        name = self._random.choice(list(CANDIDATES))
        self._note("offer", name)
        self.world.offer(name)

    def _ask(self) -> None:
        actions: list[Action] = ["promote", "promote", "rollback", "pause", "resume", "retire"]
        action = self._random.choice(actions)
        versions = self.world.versions() if action in {"promote", "retire"} else []
        version = self._random.choice([*versions, "9.9.9"]) if action in {"promote", "retire"} else ""
        self._note("ask", f"{action} {version}")
        self.world.command(
            action,
            version,
            ttl_ms=self._random.choice([1_000, 600_000]),
            expected=self._random.choice([None, None, 1, 2]),
        )

    def _apply(self) -> None:
        policies: list[Policy] = ["immediate", "manual"]
        policy = self._random.choice(policies)
        self._note("apply", policy)
        self.world.apply(policy)

    def _compact(self) -> None:
        role = self._random.choice(_COMPACTED)
        self._laws.look()
        self._note("compact", role)
        self.world.cluster.compact(NAMES.topic(role))

    def _retain(self) -> None:
        """Retention takes what was answered; of what was not, only where services are told to skip it."""
        service, role = self._random.choice(INPUTS)
        for partition, at in self.world.committed(service, role).items():
            span = self.world.bus.spans(role)[partition]
            low = min(at.offset, span.end)
            if low > span.low and self._random.random() < 0.5:
                self._note("retention", f"{role}/{partition} up to {low}")
                self.world.cluster.truncate(NAMES.topic(role), partition, low)

    def _lag(self) -> None:
        """From now on those who follow control topics see them late, or see all again."""
        self._note("lag")
        self.world.cluster.fetches = None if self.world.cluster.fetches else self._fetches

    def _lose_offsets(self) -> None:
        """The group was away for longer than the broker keeps offsets."""
        service = self._random.choice(["ingestion", "inference"])
        if any(process.busy for process in self.world.of(service)):
            return
        self._note("lost offsets", service)
        for process in self.world.of(service):
            process.kill()
        group = self.world.group(service)
        for member in group.members:
            self.world.cluster.expire(member)
        self.world.cluster.advance(60_000)
        group.lose_offsets()
