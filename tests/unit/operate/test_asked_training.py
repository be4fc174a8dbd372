"""Whoever asks for a training is told its end, and who does not wait any longer takes the command back."""

from collections.abc import Callable
from typing import cast

import pytest

from freshet.avro.control import decode, encode
from freshet.contracts.messages import Command
from freshet.contracts.topic_table import TopicNames
from freshet.contracts.training_message import Training
from freshet.operate import asked_training
from freshet.operate.asked_training import retrained
from freshet.operate.commands import command
from freshet.operate.connection import Connection
from freshet.operate.operate_error import OperateError
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import Send
from freshet.runtime.reading import everything
from support.retraining import World

NAMES = TopicNames("", "fraud")


class Stage:
    """A broker in memory on which nobody answers but the test, and what was said to the one who waits."""

    def __init__(self) -> None:
        self.cluster, self.told = MemoryCluster(), list[str]()
        self.cluster.ensure(NAMES, 1)
        self.on_word: Callable[[str], None] = lambda _: None
        self.asked = command("fraud", "retrain", expires_ms=60_000)

    def say(self, text: str) -> None:
        """What is told; the test may do something then."""
        self.told.append(text)
        self.on_word(text)

    def bus(self) -> MemoryBus:
        """As of a connection."""
        return MemoryBus(self.cluster, NAMES)

    def answer(self, *phases: str) -> None:
        """As retraining does, up to these phases."""
        world = World(rows=5000)
        world.apply()
        world.ask(self.asked.command_id)
        for record in world.settle():
            if record.phase in phases:
                self.bus().producer().send(Send("trainings", [b"fraud"], [encode(record)]))

    def wait(self, expires_ms: int = 60_000) -> Training:
        """Ask, and wait."""
        return retrained(cast(Connection, self), self.asked, expires_ms)

    def commands(self) -> list[Command]:
        """What retraining would read."""
        values = [value for batch in everything(self.bus(), "commands") for value in batch.values]
        return [message for value in values if isinstance(message := decode("commands", value or b""), Command)]


def test_the_end_of_the_training_is_what_is_waited_for() -> None:
    """That it has begun is told meanwhile, and is no answer."""
    stage = Stage()
    stage.answer("started")
    stage.on_word = lambda text: stage.answer("finished") if "has begun" in text else None
    assert stage.wait().phase == "finished"
    assert len(stage.told) == 2


def test_command_that_nobody_answers_is_an_error_that_names_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has expired by then."""
    monkeypatch.setattr(asked_training, "_GRACE_S", 0.0)
    with pytest.raises(OperateError, match="freshet run retraining"):
        Stage().wait(expires_ms=1)


def test_who_waits_is_told_whether_retraining_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of a question back, and long before the command expires."""
    monkeypatch.setattr(asked_training, "_QUIET_S", 0.0)
    stage = Stage()
    stage.on_word = lambda text: stage.answer("finished") if "nobody has answered" in text else None
    assert stage.wait().phase == "finished"
    (said,) = [text for text in stage.told if "nobody has answered" in text]
    assert "No retraining is running (has never been heard). Start it with `freshet run retraining`." in said


def interrupt(_: str) -> None:
    """Ctrl-C."""
    raise KeyboardInterrupt


def test_interrupt_withdraws_a_command_that_has_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retraining will not carry it out, whenever it reads it."""
    monkeypatch.setattr(asked_training, "_LAST_WORD_S", 0.0)
    stage = Stage()
    stage.on_word = lambda text: interrupt(text) if text.startswith("waiting") else None
    with pytest.raises(KeyboardInterrupt):
        stage.wait()
    assert [asked.withdrawn for asked in stage.commands()] == [False, True]
    assert "withdrawn" in stage.told[-1]


def test_interrupt_leaves_a_training_that_has_begun() -> None:
    """Its command is done; the record of its end will come."""
    stage = Stage()
    stage.answer("started")
    stage.on_word = lambda text: interrupt(text) if "learns from" in text else None
    with pytest.raises(KeyboardInterrupt):
        stage.wait()
    assert [asked.withdrawn for asked in stage.commands()] == [False]
    assert "goes on" in stage.told[-1]
