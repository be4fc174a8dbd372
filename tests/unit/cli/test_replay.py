"""Where a replay that ended early says to go on: nothing may be sent twice, and no label left out."""

import os
import signal
import time
from collections.abc import Iterator

import numpy as np
import pytest

from freshet.avro import Columns, Strings
from freshet.avro.control import encode
from freshet.avro.own_schemas import event_schema_id
from freshet.cli.replay import _publish, _tell_if_unread
from freshet.contracts.messages import WorkerState
from freshet.contracts.topic_table import TopicNames
from freshet.lab.events_topic import EventsTopic
from freshet.lab.load import Load, Sent
from freshet.operate.tables.events import Events
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import Producer, RetriableError, Send
from freshet.runtime.clock import ManualClock
from support.heat import SCHEMA, SPEC


class Broker:
    """Writes on until one send of a role, which arrives and is never acknowledged; from then on it is silent."""

    def __init__(self, bus: MemoryBus, role: str, sends: int, *, ctrl_c: bool) -> None:
        self._producer: Producer = bus.producer()
        self._role, self._left, self._ctrl_c = role, sends, ctrl_c
        self._silent = False
        self.waits_s: list[float | None] = []

    def send(self, send: Send, within_s: float | None = None) -> list[int]:
        """Write, or fail as the producer on Kafka does."""
        self.waits_s.append(within_s)
        if self._silent:
            raise RetriableError("0 records were acknowledged in time.")
        self._left -= send.role == self._role
        offsets = self._producer.send(send)
        if self._left < 0:
            self._silent = True
            if self._ctrl_c:
                os.kill(os.getpid(), signal.SIGINT)
            raise RetriableError("0 records were acknowledged in time.")
        return offsets

    def close(self) -> None:
        """Nothing to free."""


class World:
    """The topics of a pipeline, and one replay."""

    def __init__(self) -> None:
        names = TopicNames(pipeline="heat")
        cluster = MemoryCluster()
        cluster.ensure(names, 1, ["events", "feedback"])
        self.bus = MemoryBus(cluster, names)

    def replay(
        self, producer: Producer, *, labels_after: int | None = None, source: Iterator[Events] | None = None
    ) -> Sent:
        """What was sent when Ctrl-C ended it."""
        load = Load(producer, SPEC, SCHEMA, event_schema_id(SCHEMA), ManualClock(), labels_after=labels_after)
        sent, interrupted = _publish(load, source or readings(), None, 10, EventsTopic(self.bus))
        assert interrupted
        return sent


def readings(*, ctrl_c: bool = False) -> Iterator[Events]:
    for part in range(4):
        names = [f"r{part}-{row}" for row in range(250)]
        if ctrl_c and part == 2:
            os.kill(os.getpid(), signal.SIGINT)
        columns: Columns = {
            "id": Strings.from_list(names),
            "device": Strings.from_list(names),
            "heat": np.zeros(250, np.float64),
        }
        yield Events(columns, ["warm"] * 250)


def test_ctrl_c_where_all_is_acknowledged_says_how_many_to_skip(capsys: pytest.CaptureFixture[str]) -> None:
    """The number counts what was skipped this time, too."""
    world = World()
    sent = world.replay(world.bus.producer(), source=readings(ctrl_c=True))
    assert sent.events == 500
    assert "--skip 510." in capsys.readouterr().err


def test_ctrl_c_while_the_broker_is_silent_says_resume(capsys: pytest.CaptureFixture[str]) -> None:
    """Some of the send that was broken off arrived: a number of acknowledged ones would repeat those."""
    world = World()
    sent = world.replay(Broker(world.bus, "events", 2, ctrl_c=True))
    assert sent.events == 500
    said = capsys.readouterr().err
    assert "--resume" in said
    assert "--skip" not in said


@pytest.mark.parametrize(("role", "labels_after"), [("events", None), ("feedback", 0)])
def test_a_send_that_fails_says_resume(role: str, labels_after: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    """Of events or of labels: either may have arrived in part, and --skip leaves out labels."""
    world = World()
    with pytest.raises(RetriableError):
        world.replay(Broker(world.bus, role, 2, ctrl_c=False), labels_after=labels_after)
    said = capsys.readouterr().err
    assert "--resume" in said
    assert "--skip" not in said


@pytest.mark.parametrize("again", [False, True])
def test_after_ctrl_c_the_last_labels_get_a_few_seconds(again: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """A broker that does not take them, or a second Ctrl-C, ends it with where to go on; neither hangs."""
    world = World()
    broker = Broker(world.bus, "feedback", 0, ctrl_c=again)
    sent = world.replay(broker, labels_after=5000, source=readings(ctrl_c=True))
    assert broker.waits_s == [None, None, 5.0]
    assert (sent.events, sent.labels) == (500, 0)
    said = capsys.readouterr().err
    assert "500 labels are missing" in said
    assert "--skip" not in said
    assert "Go on where this ended with --resume." in said


def test_after_ctrl_c_the_last_labels_are_sent_if_they_can_be(capsys: pytest.CaptureFixture[str]) -> None:
    """Then nothing is missing, and a number says where to go on."""
    world = World()
    sent = world.replay(world.bus.producer(), labels_after=5000, source=readings(ctrl_c=True))
    assert sent.labels == sent.events == 500
    assert "--skip 510." in capsys.readouterr().err


@pytest.mark.parametrize("alive", [False, True])
def test_who_sends_events_that_nobody_reads_is_told(alive: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """With what starts an ingestion; nothing is said where one runs."""
    world = World()
    world.bus.cluster.ensure(world.bus.names, 1, ["workers"])
    world.bus.cluster.now_ms = time.time_ns() // 1_000_000
    if alive:
        state = WorkerState(instance="a", service="ingestion", pipeline="heat", interval_ms=3000)
        world.bus.producer().send(Send("workers", [b"ingestion/a"], [encode(state)]))
    _tell_if_unread(world.bus, "heat")
    said = capsys.readouterr().err
    assert (said == "", "`freshet run ingestion --pipelines heat`" in said) == (alive, not alive)
