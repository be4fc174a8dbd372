"""Whoever waits for a decision waits through a broker's restart; what cannot be waited for leaves no command behind."""

from collections.abc import Callable
from typing import cast

import pytest

from freshet.avro.control import decode, encode
from freshet.contracts.messages import Command, Decision
from freshet.contracts.topic_table import TopicNames
from freshet.models.bundle import Bundle
from freshet.operate import commands, patience
from freshet.operate.connection import Connection
from freshet.operate.publication import publish
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import FatalError, RetriableError, RightsError, Send
from freshet.runtime.reading import everything
from support.models import linear, manifest_of

NAMES = TopicNames("", "fraud")


class Stage:
    """A broker in memory, and what was said to the one who waits."""

    def __init__(self) -> None:
        self.cluster, self.told = MemoryCluster(), list[str]()
        self.cluster.ensure(NAMES, 1)
        self.connection = cast(Connection, self)
        self.say = self.told.append

    def bus(self) -> MemoryBus:
        """As of a connection."""
        return MemoryBus(self.cluster, NAMES)

    def refuse(self, operation: str, error: Exception, times: int, then: Callable[[], None] = lambda: None) -> None:
        """Answer so many calls of this operation with the error; what happens then, happens once."""
        left = times

        def before(_: str, asked: str) -> None:
            nonlocal left
            if asked == operation and left >= 0:
                left -= 1
                if left >= 0:
                    raise error
                then()

        self.cluster.before = before

    def commands(self) -> list[Command]:
        """What the registry would read."""
        values = [value for batch in everything(self.bus(), "commands") for value in batch.values]
        return [message for value in values if isinstance(message := decode("commands", value or b""), Command)]

    def decide(self) -> None:
        """As a registry does that has read the first command."""
        asked = self.commands()[0]
        decision = Decision(
            pipeline=asked.pipeline,
            about="command",
            subject=asked.command_id,
            verdict="done",
            reason="paused.",
            epoch=1,
        )
        self.bus().producer().send(Send("decisions", [b"fraud"], [encode(decision)]))


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """One that is told at once who is missing, and lets nobody wait long."""
    monkeypatch.setattr(patience, "_QUIET_S", 0.0)
    monkeypatch.setattr(commands, "_LAST_WORD_S", 0.0)
    return Stage()


def test_a_command_waits_through_a_broker_that_restarts(stage: Stage) -> None:
    """Its roll call is refused, which is said once with what becomes of the command; its decision is found later."""
    asked = commands.command("fraud", "pause", expires_ms=60_000)
    stage.refuse("caught_up", RetriableError("broker transport failure."), 3, stage.decide)
    assert commands.decided(stage.connection, asked, 60_000).verdict == "done"
    hint = "The command stays valid for 60 s; Ctrl-C withdraws it."
    away = "Kafka does not answer now, and is waited for: broker transport failure."
    registry = "No registry is running (has never been heard). Start it with `freshet run registry`."
    assert stage.told[1:] == [away, hint, registry, hint]


def test_what_ends_the_wait_withdraws_the_command(stage: Stage) -> None:
    """A right that was taken away is no reason to carry it out later."""
    asked = commands.command("fraud", "pause", expires_ms=60_000)
    stage.refuse("caught_up", RightsError("not authorized."), 1)
    with pytest.raises(RightsError):
        commands.decided(stage.connection, asked, 60_000)
    assert [one.expires_at_ms for one in stage.commands()] == [asked.expires_at_ms, 0]
    assert stage.told[-1].startswith("withdrawn: ")


@pytest.mark.parametrize("error", [RetriableError("no broker."), FatalError("fenced.")])
def test_a_command_that_cannot_be_withdrawn_says_until_when_it_is_valid(
    stage: Stage, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the broker is away: the one who leaves knows what may still happen."""
    asked = commands.command("fraud", "pause", expires_ms=60_000)

    def interrupted(*_: object, **__: object) -> Decision:
        stage.refuse("send", error, 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "patiently", interrupted)
    with pytest.raises(KeyboardInterrupt):
        commands.decided(stage.connection, asked, 60_000)
    assert stage.told[-1].startswith(f"it could not be withdrawn: {error} A registry may carry it out until 20")


def test_a_model_that_cannot_be_withdrawn_says_so(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for a candidate: it will be judged."""
    data = linear()

    def interrupted(*_: object, **__: object) -> None:
        stage.refuse("send", RetriableError("no broker."), 1)
        raise KeyboardInterrupt

    monkeypatch.setattr("freshet.operate.publication.patiently", interrupted)
    with pytest.raises(KeyboardInterrupt):
        publish(stage.connection, Bundle(manifest_of(data), data))
    assert "could not be withdrawn: no broker. It will be judged" in stage.told[-1]
