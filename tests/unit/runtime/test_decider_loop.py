"""The loop of a single owner: fence, fold, decide; a decision lost in a crash is made again, never twice."""

import pytest

from freshet.contracts.control import encode
from freshet.contracts.logic import Announce, Decider, Fact, Start
from freshet.contracts.messages import Command, Decision
from freshet.contracts.topics import TopicNames
from freshet.runtime.bus import FatalError, Send
from freshet.runtime.clock import ManualClock
from freshet.runtime.decider_loop import DeciderLoop
from freshet.runtime.feed import Feed
from freshet.runtime.jobs import InlineJobs
from freshet.runtime.memory import STEPS, MemoryBus, MemoryCluster, SimulatedCrash, Step
from freshet.runtime.telemetry import Metrics

NAMES = TopicNames("", "")


class Clerk(Decider):
    """Answers each command once, with the number of decisions made before."""

    follows = ("commands",)
    owns = ("decisions",)

    def __init__(self) -> None:
        self.asked: dict[str, Command] = {}
        self.decided: dict[str, Decision] = {}

    def fold(self, fact: Fact) -> None:
        """Remember both sides."""
        if isinstance(fact.message, Command):
            self.asked[fact.message.command_id] = fact.message
        elif isinstance(fact.message, Decision):
            self.decided[fact.message.subject] = fact.message

    def decide(self, now_ms: int) -> list[Announce | Start]:
        """What is asked and not decided."""
        return [
            Announce("decisions", "p", _decision(command_id, len(self.decided)))
            for command_id in sorted(self.asked.keys() - self.decided.keys())[:1]
        ]


def _decision(subject: str, epoch: int) -> Decision:
    return Decision(pipeline="p", about="command", subject=subject, verdict="done", reason="asked", epoch=epoch)


class World:
    """A cluster with the control topics, and owners on it."""

    def __init__(self) -> None:
        self.cluster = MemoryCluster()
        self.cluster.ensure(NAMES, 1, ["commands", "decisions"])
        self.bus = MemoryBus(self.cluster, NAMES)

    def ask(self, *command_ids: str) -> None:
        """Append commands."""
        for command_id in command_ids:
            command = Command(command_id=command_id, pipeline="p", action="pause", expires_at_ms=1, by="test")
            self.bus.producer().send(Send("commands", [b"p"], [encode(command)]))

    def owner(self) -> DeciderLoop:
        """A new owner."""
        jobs = InlineJobs(lambda job: job)
        return DeciderLoop(Clerk(), self.bus, NAMES, service="clerk", jobs=jobs, clock=ManualClock(), metrics=Metrics())

    def decisions(self) -> list[tuple[str, int]]:
        """(command, number) of all committed decisions, in order."""
        feed = Feed(self.bus.reader(["decisions"]))
        found = []
        while not feed.caught_up():
            found += [
                (fact.message.subject, fact.message.epoch)
                for fact in feed.facts()
                if isinstance(fact.message, Decision)
            ]
        return found


def turn(owner: DeciderLoop) -> None:
    """Let the owner turn until all is settled."""
    for _ in range(10):
        owner.step(0.0)


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_between_any_two_steps_leads_to_the_same_decision_once(step: Step) -> None:
    """Commands a, b, CRASH, c: each gets one decision, numbered without gap."""
    world = World()
    world.ask("a", "b")

    def crash(reached: Step, transactional_id: str) -> None:
        if reached == step:
            raise SimulatedCrash

    owner = world.owner()
    world.cluster.failpoint = crash
    with pytest.raises(SimulatedCrash):
        turn(owner)
    world.cluster.failpoint = None
    world.ask("c")
    turn(world.owner())
    assert world.decisions() == [("a", 0), ("b", 1), ("c", 2)]


def test_a_new_owner_fences_before_it_folds() -> None:
    """What the old owner commits while the new one takes over is folded, or refused; never decided twice."""
    world = World()
    world.ask("a")
    old, new = world.owner(), world.owner()
    old.step(0.0)
    new.step(0.0)  # fences here, and reads the ends only after that
    world.ask("b")
    with pytest.raises(FatalError):
        turn(old)
    turn(new)
    assert world.decisions() == [("a", 0), ("b", 1)]


def test_an_owner_does_not_read_its_own_decisions_back() -> None:
    """Folding an old record of one's own after a newer one would turn the state back."""
    world = World()
    world.ask("a", "b", "c")
    turn(world.owner())
    assert world.decisions() == [("a", 0), ("b", 1), ("c", 2)]
