"""The load generator on a bus in memory, with a clock turned by hand."""

import os
import signal
from collections.abc import Iterator

import numpy as np
import pytest

from freshet.avro import Columns, Decoder, Strings
from freshet.avro.own_schemas import current_schema, event_schema_id
from freshet.contracts.batch import Batch
from freshet.contracts.topic_table import TopicNames
from freshet.lab.load import Load, Sent
from freshet.operate.tables.events import Events
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import Send
from freshet.runtime.clock import ManualClock
from support.heat import SCHEMA, SPEC


def readings(n: int, size: int = 250) -> Iterator[Events]:
    for first in range(0, n, size):
        rows = range(first, min(n, first + size))
        columns: Columns = {
            "id": Strings.from_list([f"r{row}" for row in rows]),
            "device": Strings.from_list([f"d{row % 5}" for row in rows]),
            "heat": np.array(rows, np.float64),
        }
        yield Events(columns, ["warm" if row % 2 else "cold" for row in rows])


class World:
    """A cluster with the pipeline's topics, and what was written to it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        names = TopicNames(pipeline="heat")
        cluster = MemoryCluster(self.clock.now_ms())
        cluster.ensure(names, 1, ["events", "feedback"])
        self.bus = MemoryBus(cluster, names)

    def load(self, *, rate: float | None = None, corrupt_share: float = 0.0, labels_after: int | None = None) -> Load:
        return Load(
            self.bus.producer(),
            SPEC,
            SCHEMA,
            event_schema_id(SCHEMA),
            self.clock,
            rate=rate,
            corrupt_share=corrupt_share,
            labels_after=labels_after,
        )

    def read(self, role: str) -> Batch:
        batches = self.bus.reader([role]).read(1_000_000, 0.0)
        return batches[0] if batches else Batch(role, [])

    def labelled(self) -> list[str]:
        return texts(Decoder(current_schema("Feedback")).decode(self.read("feedback").values).columns, "event_id")


def texts(columns: Columns, name: str) -> list[str]:
    column = columns[name]
    assert isinstance(column, Strings)
    return column.tolist()


def finish(steps: Iterator[Sent]) -> Sent:
    *_, last = steps
    return last


def test_a_label_comes_only_after_so_many_more_events() -> None:
    """At every moment each label out there is of an event that N others have followed; in the end all are out."""
    world = World()
    for sent in world.load(labels_after=500).publish(readings(2000)):
        if sent.events < 2000:
            assert all(int(event_id[1:]) + 500 < sent.events for event_id in world.labelled())
    assert sorted(world.labelled()) == sorted(f"r{row}" for row in range(2000))


def test_ctrl_c_within_a_send_is_seen_when_the_send_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who goes on with the number that was counted neither repeats nor leaves out an event."""
    world = World()
    load = world.load()
    steps = load.publish(readings(750))
    sent = next(steps)
    send = load._producer.send

    def interrupted(what: Send, within_s: float | None = None) -> list[int]:
        offsets = send(what, within_s)
        os.kill(os.getpid(), signal.SIGINT)
        return offsets

    monkeypatch.setattr(load._producer, "send", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(steps)
    assert sent.events == len(world.read("events")) == 250


def test_spoiled_events_get_no_label_and_are_counted() -> None:
    """Labels go to exactly the events that were sent whole; the counts add up."""
    world = World()
    sent = finish(world.load(corrupt_share=0.3, labels_after=0).publish(readings(1000)))
    decoded = Decoder(SCHEMA).decode(world.read("events").values)
    assert sent.events == len(world.read("events")) == 1000
    assert 200 < sum(sent.corrupted.values()) < 400
    assert sent.labels == len(world.labelled()) == 1000 - sum(sent.corrupted.values())
    assert set(world.labelled()) <= set(texts(decoded.columns, "id"))


def test_the_rate_is_kept_and_a_stall_is_not_made_up_for() -> None:
    """1,000 events at 100/s take 10 s; after a minute of stall at most one second of them comes early."""
    world = World()
    began_ms = world.clock.now_ms()
    steps = world.load(rate=100).publish(readings(1000))
    assert next(steps).events == 0
    assert next(steps).events == 10
    world.clock.advance(60_000)
    stalled_ms = world.clock.now_ms()
    assert finish(steps).events == 1000
    assert stalled_ms - began_ms == 60_000
    assert 8_700 <= world.clock.now_ms() - stalled_ms <= 9_900


def test_events_carry_the_time_at_which_they_are_sent() -> None:
    """Event times are the clock's, in the order of sending, and never go back even if the clock does."""
    world = World()
    steps = world.load(rate=100).publish(readings(500))
    next(steps)
    next(steps)
    world.clock.advance(-5_000)
    finish(steps)
    times = np.asarray(Decoder(SCHEMA).decode(world.read("events").values).columns["at"])
    assert times[0] == 1_700_000_000_000
    assert (np.diff(times) >= 0).all()
    assert times[-1] > times[0]
