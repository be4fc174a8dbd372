"""Control facts: decoded and in log order; what cannot be read is counted, logged and left out."""

import pytest
from structlog.testing import capture_logs

from freshet.avro.control import encode
from freshet.avro.own_schemas import schema_lock
from freshet.contracts.messages import Command, Rollout, Share
from freshet.contracts.topic_table import TopicNames
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import Send
from freshet.runtime.feed import Feed, roles_of

NAMES = TopicNames("", "p")


@pytest.fixture
def bus() -> MemoryBus:
    """A cluster with two control topics."""
    cluster = MemoryCluster()
    cluster.ensure(NAMES, 1, ["rollouts", "commands"])
    return MemoryBus(cluster, NAMES)


def write(bus: MemoryBus, role: str, key: bytes | None, value: bytes | None) -> None:
    """Append one record."""
    bus.producer().send(Send(role, [key], [value]))


def live(epoch: int) -> Rollout:
    """An epoch."""
    return Rollout(
        pipeline="p", epoch=epoch, phase="live", table=(Share(version="1.0.0", share=10_000),), salt="s", cause="test"
    )


def test_facts_carry_what_was_written_and_where(bus: MemoryBus) -> None:
    """Key, message, offset and the broker's time; a tombstone is a fact without a message."""
    bus.cluster.now_ms = 1234
    write(bus, "rollouts", b"p/1", encode(live(1)))
    write(bus, "rollouts", b"p/1", None)
    first, second = Feed(bus.reader(["rollouts"])).facts()
    assert (first.role, first.key, first.message, first.offset) == ("rollouts", "p/1", live(1), 0)
    assert (second.key, second.message, second.offset) == ("p/1", None, 1)
    assert first.timestamp_ms == 1234


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\x00",
        b"not avro at all",
        encode(live(1))[:-1],
        encode(live(1)) + b"\x00",
        encode(Command(command_id="c", pipeline="p", action="pause", expires_at_ms=1, by="t")),
        b"\x00\x7f\xff\xff\xff" + encode(live(1))[5:],
    ],
    ids=["empty", "one byte", "noise", "cut", "longer", "another message", "unknown schema"],
)
def test_a_record_that_cannot_be_read_is_counted_and_skipped(bus: MemoryBus, damaged: bytes) -> None:
    """A stranger wrote it: the facts around it still arrive, and the feed still catches up."""
    write(bus, "rollouts", b"p/1", encode(live(1)))
    write(bus, "rollouts", b"p/2", damaged)
    write(bus, "rollouts", b"p/3", encode(live(3)))
    told: list[tuple[str, str]] = []
    feed = Feed(bus.reader(["rollouts"]), lambda role, key: told.append((role, key)))
    assert [fact.key for fact in feed.facts()] == ["p/1", "p/3"]
    assert told == [("rollouts", "p/2")]
    assert feed.refused == {"rollouts": 1}
    assert feed.newer == {}
    assert feed.caught_up()


def test_rubbish_does_not_flood_the_log(bus: MemoryBus) -> None:
    """The first is told whole, then how many there were; each time that they have doubled, whoever follows."""
    feed = Feed(bus.reader(["rollouts", "commands"]))
    with capture_logs() as lines:
        for count in (550, 400, 200):
            bus.producer().send(Send("commands", [b"p"] * count, [b"rubbish"] * count))
            assert list(feed.facts()) == []
        for _ in range(3):
            write(bus, "rollouts", b"p/1", b"rubbish")
            assert list(feed.facts()) == []
    told = [(line["event"], line["role"], line.get("count")) for line in lines]
    assert told == [
        ("control_record_refused", "commands", None),
        ("control_records_refused", "commands", 550),
        ("control_records_refused", "commands", 1150),
        ("control_record_refused", "rollouts", None),
        ("control_records_refused", "rollouts", 2),
    ]
    assert feed.refused == {"commands": 1150, "rollouts": 3}


@pytest.mark.parametrize(("role", "waits"), [("rollouts", ["p"]), ("commands", [])])
def test_what_a_newer_release_has_put_in_force_is_named(bus: MemoryBus, role: str, waits: list[str]) -> None:
    """An id that only a later release can have given out: whoever cannot read that may not go on in that pipeline.

    A command of a newer kind is only left out: it expires, and whoever asked is told.
    """
    newer = b"\x00" + (schema_lock()[-1].id + 1).to_bytes(4, "big") + encode(live(2))[5:]
    write(bus, role, b"p/2", newer)
    write(bus, "rollouts", b"q/3", encode(live(3)))
    feed = Feed(bus.reader(["rollouts", "commands"]))
    assert [fact.key for fact in feed.facts()] == ["q/3"]
    assert feed.refused == {role: 1}
    assert list(feed.newer) == waits


@pytest.mark.parametrize("later", [None, encode(live(2))], ids=["tombstone", "readable"])
def test_a_newer_releases_record_that_was_replaced_holds_nobody_up(bus: MemoryBus, later: bytes | None) -> None:
    """The last record of a key is in force; another key's record of a newer release still counts."""
    newer = b"\x00" + (schema_lock()[-1].id + 1).to_bytes(4, "big") + encode(live(2))[5:]
    for key in (b"p/2", b"p/2", b"q/2"):
        write(bus, "rollouts", key, newer)
    write(bus, "rollouts", b"p/2", later)
    feed = Feed(bus.reader(["rollouts"]))
    assert len(list(feed.facts())) == 1
    assert list(feed.newer) == ["q"]


def test_a_later_decision_replaces_none(bus: MemoryBus) -> None:
    """Decisions have their pipeline's key and are a log: one of a newer release is in force whatever comes after it."""
    bus.cluster.ensure(NAMES, 1, ["decisions"])
    write(bus, "decisions", b"p", b"\x00" + (schema_lock()[-1].id + 1).to_bytes(4, "big"))
    write(bus, "decisions", b"p", None)
    feed = Feed(bus.reader(["decisions"]))
    assert len(list(feed.facts())) == 1
    assert list(feed.newer) == ["p"]


def test_caught_up_means_the_ends_last_marked(bus: MemoryBus) -> None:
    """A new owner marks the ends once it has fenced the old one, and folds up to there."""
    write(bus, "rollouts", b"p/1", encode(live(1)))
    feed = Feed(bus.reader(["rollouts", "commands"]))
    assert not feed.caught_up()
    assert len(list(feed.facts())) == 1
    assert feed.caught_up()
    write(bus, "commands", b"p", encode(Command(command_id="c", pipeline="p", action="pause", expires_at_ms=1, by="t")))
    assert feed.caught_up()
    feed.mark_ends()
    assert not feed.caught_up()
    assert [fact.role for fact in feed.facts()] == ["commands"]
    assert feed.caught_up()


def test_roles_of_several_groups_appear_once() -> None:
    """A role that is followed and owned is read once."""
    assert roles_of(("a", "b"), ("b", "c")) == ("a", "b", "c")
