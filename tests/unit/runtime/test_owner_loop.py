"""The loop of a single owner: fence, fold, decide; a decision lost in a crash is made again, never twice."""

from collections import Counter
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from freshet.avro.control import encode
from freshet.avro.own_schemas import schema_lock
from freshet.contracts.logic import Announce, Decider, Fact, Job, Start
from freshet.contracts.messages import Action, Command, Decision
from freshet.contracts.topic_table import TopicNames
from freshet.operate.facts import drained
from freshet.runtime.bus.memory import STEPS, SimulatedCrash, Step
from freshet.runtime.bus.memory.partition_log import PartitionLog, Payload
from freshet.runtime.bus.protocol import FatalError, RightsError, Send, Transaction
from freshet.runtime.feed import Feed
from freshet.runtime.jobs import HURRY_S, InlineJobs, Runner, Stop
from freshet.runtime.owner_loop import OwnerLoop
from freshet.runtime.service import no_jobs
from freshet.testing import MemoryPipeline

NAMES = TopicNames("", "")


class Clerk(Decider):
    """Answers each command once, with the number of decisions made before in its pipeline.

    It trips over `retire`, and its answer repeats all text twice.
    """

    follows = ("commands",)
    owns = ("decisions",)

    def __init__(self) -> None:
        self.asked: dict[str, Command] = {}
        self.decided: dict[str, Decision] = {}
        self.short: set[str] = set()
        self.unreadable: list[tuple[str, str]] = []
        self.reread: list[str] = []

    def on_unreadable(self, role: str, key: str) -> None:
        """Remember it."""
        self.unreadable.append((role, key))

    def fold(self, fact: Fact) -> None:
        """Remember both sides."""
        if isinstance(fact.message, Command):
            self.asked[fact.message.command_id] = fact.message
        elif isinstance(fact.message, Decision):
            self.decided[fact.message.subject] = fact.message

    def on_reread(self, fact: Fact) -> None:
        """Remember what it is about."""
        assert isinstance(fact.message, Decision)
        self.reread.append(fact.message.subject)

    def pipelines(self) -> list[str]:
        """All that were asked about."""
        return sorted({command.pipeline for command in self.asked.values()})

    def decide(self, pipeline: str, now_ms: int) -> list[Announce | Start]:
        """What is asked and not decided."""
        mine = [name for name, command in sorted(self.asked.items()) if command.pipeline == pipeline]
        for name in mine:
            if name not in self.decided:
                if self.asked[name].action == "retire":
                    raise ZeroDivisionError("a plug-in's bug")
                text = "" if name in self.short else self.asked[name].text
                epoch = len(self.decided.keys() & mine)
                return [Announce("decisions", pipeline, _decision(pipeline, name, epoch, text))]
        return []

    def on_too_large(self, pipeline: str, announced: Sequence[Announce], why: str) -> None:
        """Answer in short."""
        self.short |= {effect.message.subject for effect in announced if isinstance(effect.message, Decision)}


def _decision(pipeline: str, subject: str, epoch: int, text: str) -> Decision:
    return Decision(
        pipeline=pipeline, about="command", subject=subject, verdict="done", reason=f"asked {text} {text}", epoch=epoch
    )


class World(MemoryPipeline):
    """The control topics, and owners on them."""

    def __init__(self) -> None:
        super().__init__("clerk", roles=["commands", "decisions"])

    def ask(self, *command_ids: str, pipeline: str = "p", action: Action = "pause", text: str = "") -> None:
        """Append commands."""
        for command_id in command_ids:
            command = Command(
                command_id=command_id, pipeline=pipeline, action=action, expires_at_ms=1, by="test", text=text
            )
            self.tell("commands", pipeline, command)

    def clerk(self, jobs: Runner = no_jobs) -> OwnerLoop:
        """A new owner."""
        return self.owner(Clerk(), jobs=jobs)

    def slow_commit(self, owner: OwnerLoop) -> None:
        """Let the owner turn while the broker stalls in the middle of each commit."""

        def stall(step: Step, _transactional_id: str) -> None:
            if step == "produced":
                self.cluster.advance(3_000)

        self.cluster.failpoint = stall
        turn(owner)
        self.cluster.failpoint = None

    def decisions(self) -> list[tuple[str, int]]:
        """(command, number) of all committed decisions, in order."""
        told = [fact.message for fact in drained(Feed(self.bus.reader(["decisions"])))]
        return [(decision.subject, decision.epoch) for decision in told if isinstance(decision, Decision)]


def turn(owner: OwnerLoop) -> None:
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

    owner = world.clerk()
    world.cluster.failpoint = crash
    with pytest.raises(SimulatedCrash):
        turn(owner)
    world.cluster.failpoint = None
    world.ask("c")
    turn(world.clerk())
    assert world.decisions() == [("a", 0), ("b", 1), ("c", 2)]


def test_a_new_owner_fences_before_it_folds() -> None:
    """What the old owner commits while the new one takes over is folded, or refused; never decided twice."""
    world = World()
    world.ask("a")
    old, new = world.clerk(), world.clerk()
    old.step(0.0)
    new.step(0.0)  # fences here, and reads the ends only after that
    world.ask("b")
    with pytest.raises(FatalError):
        turn(old)
    turn(new)
    assert world.decisions() == [("a", 0), ("b", 1)]


def test_the_ends_are_read_after_the_fence() -> None:
    """What the old owner commits right before it is fenced is folded by the new one, and not decided again."""
    world = World()
    world.ask("a")
    old, new = world.clerk(), world.clerk()
    turn(old)
    world.ask("b", "c")

    def old_decides(_client: str, operation: str) -> None:
        if operation == "open":
            world.cluster.before = None
            turn(old)
            looks.clear()  # the old one looked, too

    looks = Counter[PartitionLog]()

    def slowly(_client: str, log: PartitionLog) -> int:
        looks[log] += 1
        return looks[log]

    world.cluster.before = old_decides
    # it reads as slowly as a reader may, an offset more each time: only the ends tell it that there is more
    world.cluster.stale = slowly
    turn(new)
    world.cluster.stale = None
    world.ask("d")
    turn(new)
    assert world.decisions() == [("a", 0), ("b", 1), ("c", 2), ("d", 3)]


@pytest.mark.parametrize("hiccup", ["slow", "disconnect"])
def test_a_fenced_owner_never_takes_its_id_back(hiccup: str) -> None:
    """Two owners overlap after a hiccup of the old one: it ends, and no number has two contents."""
    world = World()
    old = world.clerk()
    world.ask("a")
    world.slow_commit(old) if hiccup == "slow" else turn(old)
    new = world.clerk()
    turn(new)
    if hiccup == "disconnect":
        world.cluster.disconnect()
    world.ask("b", "c")
    with pytest.raises(FatalError):
        turn(old)
    turn(new if hiccup == "slow" else world.clerk())
    assert world.decisions() == [("a", 0), ("b", 1), ("c", 2)]


def test_one_pipelines_oversize_answer_blocks_nobody() -> None:
    """It is answered in short, and the other pipelines' answers do not wait for it."""
    world = World()
    world.ask("big", pipeline="a", text="n" * 600_000, action="annotate")
    world.ask("small", pipeline="b")
    owner = world.clerk()
    commits = []
    world.cluster.before = lambda _client, operation: commits.append(1) if operation == "commit" else None
    turn(owner)
    assert world.decisions() == [("small", 0)]
    world.clock.advance(60_000)
    turn(owner)
    assert world.decisions() == [("small", 0), ("big", 0)]
    assert len(commits) == 3, "one for b, one that was too large, one short one"


def test_one_pipelines_bug_ends_nobody() -> None:
    """A plug-in that raises costs its own pipeline a pause, and nobody else anything."""
    world = World()
    world.ask("trap", pipeline="a", action="retire")
    owner = world.clerk()
    turn(owner)
    world.ask("b1", "b2", pipeline="b")
    turn(owner)
    assert world.decisions() == [("b1", 0), ("b2", 1)]


def test_an_owner_does_not_decide_while_a_part_of_its_own_topics_is_hidden() -> None:
    """Behind an open transaction there may be decisions of its own; it waits for the end, or gives up with advice."""
    world = World()
    world.ask("a")
    stranger = world.bus.transactional_producer("stranger", "0")
    stranger.open()

    def crash(reached: Step, _transactional_id: str) -> None:
        if reached == "produced":
            raise SimulatedCrash

    world.cluster.failpoint = crash
    with pytest.raises(SimulatedCrash):
        stranger.commit(Transaction([Send("decisions", [b"p"], [encode(_decision("p", "x", 0, ""))])]))
    world.cluster.failpoint = None
    predecessor = world.clerk()
    turn(predecessor)
    assert predecessor.unready() is not None
    world.bus.transactional_producer("stranger", "0").open()  # ends what its predecessor left open
    turn(predecessor)
    assert world.decisions() == [("a", 0)]


def test_a_transaction_that_never_ends_stops_the_owner_with_advice() -> None:
    """An end that nobody will ever write is a matter for an operator, who learns where it is."""
    world = World()
    world.ask("a", "b")
    turn(world.clerk())
    log = world.cluster.topic(NAMES.topic("decisions")).logs[0]
    log.append(0, Payload(b"p", b"lost"), "hanging")
    world.ask("c")
    owner = world.clerk()
    turn(owner)
    world.clock.advance(30_000)
    with pytest.raises(FatalError, match=r"decisions, partition 0: .* from offset 4 .*freshet doctor"):
        turn(owner)
    assert world.decisions() == [("a", 0), ("b", 1)]


def test_an_owner_waits_where_a_newer_release_has_decided() -> None:
    """It cannot know what is in force in that pipeline, says so, and goes on deciding about the others."""
    world = World()
    newer = encode(_decision("a", "x", 0, ""))
    newer = newer[:1] + (schema_lock()[-1].id + 1).to_bytes(4, "big") + newer[5:]
    world.bus.producer().send(Send("decisions", [b"a"], [newer]))
    world.ask("a1", pipeline="a")
    world.ask("b1", pipeline="b")
    owner = world.clerk()
    turn(owner)
    assert world.decisions() == [("b1", 0)]
    assert "Upgrade" in (owner.unready() or "")


def test_a_job_that_failed_is_told_with_its_error() -> None:
    """A decider asks again in silence: only the log says why nothing comes of it."""

    def refused(_job: Job[None], _stop: Stop) -> object:
        raise RightsError("Grant the user READ on topic artifacts.")

    owner = World().clerk(refused)
    owner._jobs.start(Job[None]())
    with capture_logs() as lines:
        turn(owner)
    (told,) = [line for line in lines if line["event"] == "job_failed"]
    assert (told["log_level"], told["job"], told["error"]) == (
        "error",
        "Job",
        "Grant the user READ on topic artifacts.",
    )


def test_an_owner_does_not_read_its_own_decisions_back() -> None:
    """Folding an old record of one's own after a newer one would turn the state back."""
    world = World()
    world.ask("a", "b", "c")
    turn(world.clerk())
    assert world.decisions() == [("a", 0), ("b", 1), ("c", 2)]


def test_a_decider_is_told_what_comes_onto_its_own_topics() -> None:
    """Its own decisions once more, and what a stranger writes there; neither is folded, nor what it began with."""
    world = World()
    world.ask("a")
    turn(world.clerk())
    clerk = Clerk()
    owner = world.owner(clerk)
    turn(owner)
    world.tell("decisions", "p", _decision("p", "strange", 7, ""))
    world.ask("b")
    turn(owner)
    assert sorted(clerk.reread) == ["b", "strange"]
    assert "strange" not in clerk.decided
    assert world.decisions() == [("a", 0), ("strange", 7), ("b", 1)]


def test_while_a_job_may_end_any_moment_nobody_waits_long_for_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end cannot wake who waits for a broker."""
    world = World()
    waits: list[float] = []

    def facts(_: Feed, timeout_s: float) -> list[Fact]:
        waits.append(timeout_s)
        return []

    monkeypatch.setattr(Feed, "facts", facts)
    owner = world.clerk()
    for hurry in (False, True):
        monkeypatch.setattr(InlineJobs, "hurry", lambda _, hurry=hurry: hurry)
        owner.step(0.1)
    owner.close()
    assert waits == [0.1, HURRY_S]


def test_a_decider_is_told_of_what_cannot_be_read() -> None:
    """Also of what stood on its own topics before it began."""
    world = World()
    world.bus.producer().send(Send("decisions", [b"p"], [b"rubbish"]))
    world.ask("c1")
    owner = world.clerk()
    turn(owner)
    turn(owner)
    assert isinstance(owner.decider, Clerk)
    assert owner.decider.unreadable == [("decisions", "p")]
    assert world.decisions() == [("c1", 0)]
