"""What people and producers do: events, feedback, candidates, commands, specifications, clocks that they set wrong."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Protocol

from freshet.contracts.messages import Action
from support.simulation.pipeline import CANDIDATES, Policy
from support.simulation.processes import Process
from support.simulation.world import World


class Note(Protocol):
    """Counts what happens, and remembers it for the trail of a failure."""

    def __call__(self, what: str, detail: str = "") -> None:
        """`what` is one of a fixed set of kinds."""


class People:
    """Each method is one deed, chosen in detail by the world's random numbers."""

    def __init__(self, world: World, note: Note, run: Callable[[Process, Callable[[], None]], None]) -> None:
        """`run` lets a process do something, in which things may happen."""
        self._world, self._note, self._run = world, note, run
        self._random: Random = world.random

    def deeds(self) -> Mapping[Callable[[], None], int]:
        """All deeds with their weights."""
        return {
            self.feed: 8,
            self.label: 3,
            self.junk: 1,
            self.offer: 3,
            self.ask: 4,
            self.apply: 2,
            self.set_clock: 1,
        }

    def feed(self) -> None:
        """Events arrive."""
        count = self._random.choice([1, 2, 5, 12])
        self._note("feed", str(count))
        self._world.feed(count)

    def junk(self) -> None:
        """So does what nobody can read."""
        self._note("junk")
        self._world.feed_junk()

    def label(self) -> None:
        """Feedback arrives."""
        self._note("label")
        self._world.label(self._random.choice([1, 3, 8]))

    def offer(self) -> None:
        """Somebody publishes a model."""
        name = self._random.choice(list(CANDIDATES))
        self._note("offer", name)
        self._world.offer(name)

    def ask(self) -> None:
        """An operator gives a command, sensible or not."""
        actions: list[Action] = ["promote", "promote", "rollback", "pause", "resume", "retire"]
        action = self._random.choice(actions)
        versions = self._world.versions() if action in {"promote", "retire"} else []
        version = self._random.choice([*versions, "9.9.9"]) if action in {"promote", "retire"} else ""
        self._note("ask", f"{action} {version}")
        self._world.command(
            action,
            version,
            ttl_ms=self._random.choice([1_000, 600_000]),
            expected=self._random.choice([None, None, 1, 2]),
        )

    def apply(self) -> None:
        """One of two people runs `freshet apply`, which may be interrupted at any call, or meet the other one."""
        who = self._random.choice(self._world.appliers)
        if who.busy:
            return
        policies: list[Policy] = ["immediate", "manual"]
        policy = self._random.choice(policies)
        self._note("apply", policy)
        deaths, who.said = who.deaths, ""
        self._run(who, lambda: who.guarded(lambda: self._world.apply(policy)))
        if who.deaths > deaths or who.said:
            self._note("interrupted apply", who.said)

    def set_clock(self) -> None:
        """A machine's clock jumps."""
        process = self._random.choice(self._world.processes)
        process.clock.skew_ms = self._random.choice([-3_600_000, -1_000, 0, 1_000, 3_600_000])
        self._note("clock", f"of {process.name} is wrong by {process.clock.skew_ms} ms")
