"""The public checks of logics and deciders: each fault is found, and the error says which promise it breaks."""

from collections.abc import Iterable
from random import Random

import pytest

from freshet.contracts.batch import Batch
from freshet.contracts.logic import Announce, Decider, Effect, Fact, Logic, Publish, Start
from freshet.contracts.messages import Command, Decision
from freshet.testing import ConformanceError, MemoryPipeline, check_decider, check_logic


class Numbering(Logic):
    """Copies events, and counts them over all batches of its life."""

    reads = ("events",)

    def __init__(self) -> None:
        self.count = 0

    def on_batch(self, batch: Batch) -> Iterable[Effect]:
        values = [b"%d" % (self.count + row) for row in range(len(batch))]
        self.count += len(batch)
        yield Publish("features", batch.keys, values, batch.partitions.tolist())


class Comparing(Logic):
    """Writes how many others came with each event."""

    reads = ("events",)

    def on_batch(self, batch: Batch) -> Iterable[Effect]:
        yield Publish("features", batch.keys, [b"%d" % len(batch)] * len(batch), batch.partitions.tolist())


class Losing(Logic):
    """Leaves out every batch of one row."""

    reads = ("events",)

    def on_batch(self, batch: Batch) -> Iterable[Effect]:
        if len(batch) > 1:
            yield Publish("features", batch.keys, [b"v"] * len(batch), batch.partitions.tolist())


@pytest.mark.parametrize("part", [Numbering, Comparing, Losing])
def test_a_broken_logic_is_told_what_is_wrong(part: type[Logic]) -> None:
    """Each depends on more than the row: on what its worker has read before, or on the row's neighbours."""
    with pytest.raises(ConformanceError, match=r"seed \d+, after \d+ acts .*features does not hold what one undisturb"):
        check_logic(part, "broken")


class Clerk(Decider):
    """Answers each command once."""

    follows = ("commands",)
    owns = ("decisions",)

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.told: set[str] = set()

    def fold(self, fact: Fact) -> None:
        """Remember both sides."""
        if isinstance(fact.message, Command) and fact.message.command_id not in self.asked:
            self.asked.append(fact.message.command_id)
        elif isinstance(fact.message, Decision):
            self.told.add(fact.message.subject)

    def pipelines(self) -> list[str]:
        """The one there is."""
        return ["p"]

    def decide(self, pipeline: str, now_ms: int) -> list[Announce | Start]:
        """What is asked and not answered."""
        unanswered = [name for name in self.asked if name not in self.told]
        return [self.answer(name) for name in unanswered[:1]]

    def answer(self, name: str) -> Announce:
        """Done."""
        told = Decision(pipeline="p", about="command", subject=name, verdict="done", reason="r", epoch=0)
        return Announce("decisions", "p", told)


class SelfTaught(Clerk):
    """Knows what it answered, but not what was answered before it came."""

    def fold(self, fact: Fact) -> None:
        if isinstance(fact.message, Command):
            super().fold(fact)

    def decide(self, pipeline: str, now_ms: int) -> list[Announce | Start]:
        found = super().decide(pipeline, now_ms)
        self.told |= {one.message.subject for one in found if isinstance(one.message, Decision)}  # type: ignore[union-attr]
        return found


class Talkative(Clerk):
    """Never has said enough."""

    def decide(self, pipeline: str, now_ms: int) -> list[Announce | Start]:
        return [self.answer("again")]


class Impatient(Clerk):
    """Asks itself what an answer without a command was for."""

    def fold(self, fact: Fact) -> None:
        if isinstance(fact.message, Decision) and fact.message.subject not in self.asked:
            self.asked.append(f"why {fact.message.subject}")
        super().fold(fact)


def asks(chance: Random, pipeline: MemoryPipeline) -> None:
    """A command."""
    asked = Command(command_id=f"c{chance.random()}", pipeline="p", action="pause", expires_at_ms=1, by="test")
    pipeline.tell("commands", "p", asked)


def test_a_good_decider_passes() -> None:
    """Nothing of it is lost or said twice."""

    def judge(pipeline: MemoryPipeline) -> None:
        asked = [command.command_id for command in pipeline.messages("commands", Command)]
        told = [decision.subject for decision in pipeline.messages("decisions", Decision)]
        assert sorted(told) == sorted(asked)

    check_decider(Clerk, "clerk", happen=asks, judge=judge)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (SelfTaught, r"a successor that folds the topics wants \[\('decisions', 'p'"),
        (Talkative, r"it goes on deciding although nothing more happens"),
        (Impatient, r"a successor that folds one topic after the other wants"),
    ],
)
def test_a_broken_decider_is_told_what_is_wrong(part: type[Clerk], said: str) -> None:
    """Each is the clerk with one fault."""
    with pytest.raises(ConformanceError, match=rf"seed \d+, after \d+ acts .*{said}"):
        check_decider(part, "clerk", happen=asks)
