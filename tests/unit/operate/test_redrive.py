"""Redriving dead letters on a bus in memory."""

import numpy as np
import pytest

from freshet.cli.dead_letters import _others
from freshet.contracts.batch import Batch
from freshet.contracts.headers import ARRIVED_MS, REDRIVE_OF
from freshet.contracts.logic import DeadLetter
from freshet.contracts.topic_table import TopicNames
from freshet.operate.operate_error import OperateError
from freshet.operate.redrive import DeadRecord, Wanted, check_reason, dead_records, groups, letter_at, redrive
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster, Step
from freshet.runtime.bus.protocol import FatalError, Send
from freshet.runtime.dead_letter_records import dead_letters

NAMES = TopicNames("dev.", "loans")


class World:
    """A pipeline's topics, a producer of events, and somebody who sets them aside."""

    def __init__(self) -> None:
        self.cluster = MemoryCluster()
        self.cluster.ensure(NAMES, 2, ["events", "feedback", "dead-letters"])
        self.bus = MemoryBus(self.cluster, NAMES)

    def produce(self, role: str, *values: bytes, partition: int = 0) -> None:
        n = len(values)
        self.bus.producer().send(Send(role, [b"key"] * n, list(values), [partition] * n))

    def batch(self, role: str) -> Batch:
        batches = self.bus.reader([role]).read(1000, 0.0)
        return batches[0] if batches else Batch(role, [])

    def set_aside(self, role: str, reason: str, *rows: int) -> None:
        effect = DeadLetter(np.array(rows), reason, [f"row {row} is bad." for row in rows])
        topic_id = self.bus.topic_id(role)
        self.bus.producer().send(dead_letters(self.batch(role), effect, NAMES, "ingestion", "1", topic_id=topic_id))

    def redrive(self, reason: str = "", since_ms: int = 0) -> tuple[int, int, int, int]:
        done = redrive(self.bus, Wanted(reason, since_ms))
        return done.sent, done.already, done.not_whole, done.others


def test_an_event_is_redriven_once_with_its_bytes_and_origin() -> None:
    """The copy has the same key, value and partition, and names the original; a second redrive sends nothing."""
    world = World()
    world.produce("events", b"good", b"bad", partition=1)
    world.set_aside("events", "input_trailing", 1)
    assert world.redrive() == (1, 0, 0, 0)
    copy = world.batch("events").records[-1]
    assert (copy.key(), copy.value(), copy.partition()) == (b"key", b"bad", 1)
    arrived = (ARRIVED_MS, str(world.batch("events").records[1].timestamp()[1]).encode())
    assert copy.headers() == [(REDRIVE_OF, b"dev.loans.events/1/1"), arrived]
    assert world.redrive() == (0, 1, 0, 0)
    assert len(world.batch("events")) == 3


def test_a_redriven_event_has_its_producers_headers() -> None:
    """Trace context and tenant outlive the letter; ours come behind them."""
    world = World()
    theirs = [("traceparent", b"00-1"), ("original.id", b"a"), ("empty", None)]
    world.bus.producer().send(Send("events", [b"key"], [b"bad"], [0], [theirs]))
    world.set_aside("events", "input_range", 0)
    assert world.redrive() == (1, 0, 0, 0)
    headers = world.batch("events").records[-1].headers() or []
    assert headers[:3] == theirs
    assert [name for name, _ in headers[3:]] == [REDRIVE_OF, ARRIVED_MS]


@pytest.mark.parametrize(
    ("theirs", "kept"),
    [
        ([(ARRIVED_MS, b"9" * 4301), (REDRIVE_OF, b"x")], False),
        ([(ARRIVED_MS, b"soon"), (REDRIVE_OF, b"x")], False),
        ([(ARRIVED_MS, b"7")], False),
        ([(ARRIVED_MS, b"7"), (REDRIVE_OF, b"x")], True),
    ],
)
def test_a_copy_carries_a_time_of_arrival_that_is_one(theirs: list[tuple[str, bytes | None]], *, kept: bool) -> None:
    """A repetition keeps the first one's; a text, or a time on what repeats nothing, gives way to the letter's own."""
    world = World()
    world.bus.producer().send(Send("events", [b"key"], [b"bad"], [0], [theirs]))
    world.set_aside("events", "input_range", 0)
    assert world.redrive() == (1, 0, 0, 0)
    first, copy = world.batch("events").records
    expected = b"7" if kept else str(first.timestamp()[1]).encode()
    assert copy.headers() == [(REDRIVE_OF, b"dev.loans.events/0/0"), (ARRIVED_MS, expected)]


@pytest.mark.parametrize("place", ["x/1", "0/" + "1" * 4301, "0/-1", "0"])
def test_what_is_no_place_is_said_so(place: str) -> None:
    """However long the number."""
    with pytest.raises(OperateError, match="is not a place"):
        letter_at(World().bus, place)


def test_a_copy_that_fails_again_can_be_redriven_again() -> None:
    """The copy is an event of its own: only the original counts as redriven."""
    world = World()
    world.produce("events", b"bad")
    world.set_aside("events", "input_range", 0)
    world.redrive()
    world.set_aside("events", "input_range", 1)
    assert world.redrive() == (1, 1, 0, 0)
    assert (REDRIVE_OF, b"dev.loans.events/0/1") in (world.batch("events").records[-1].headers() or ())


def test_an_event_of_a_topic_that_was_made_anew_is_another_one() -> None:
    """It has the place of one that was redriven before; its topic's id tells them apart, and so does the receipt's."""
    world = World()
    world.produce("events", b"old")
    world.set_aside("events", "input_range", 0)
    assert world.redrive() == (1, 0, 0, 0)
    world.cluster.remake_topic(NAMES.topic("events"))
    world.produce("events", b"new")
    world.set_aside("events", "input_range", 0)
    assert world.redrive() == (1, 1, 0, 0)
    assert world.batch("events").records[-1].value() == b"new"
    assert world.redrive() == (0, 2, 0, 0)


def test_a_receipt_without_a_topics_id_counts_for_letters_without_one() -> None:
    """Neither says which life of the topic is meant, so both are taken to mean the same."""
    world = World()
    dead = world.bus.producer()
    at = [("freshet.topic", b"dev.loans.events"), ("freshet.partition", b"0"), ("freshet.offset", b"0")]
    letter = [("freshet.role", b"events"), ("freshet.reason", b"input_range"), *at]
    receipt = [("freshet.redriven", b"dev.loans.events/0/0")]
    dead.send(Send("dead-letters", [b"k", None], [b"bad", b""], [0, 0], [letter, receipt]))
    assert world.redrive() == (0, 1, 0, 0)


def test_an_event_is_never_sent_twice_even_when_its_copy_has_expired() -> None:
    """Letters are kept longer than events. What was redriven is noted beside the letter, and outlives the copy."""
    world = World()
    world.produce("events", b"bad")
    world.set_aside("events", "input_range", 0)
    assert world.redrive() == (1, 0, 0, 0)
    world.cluster.truncate(NAMES.topic("events"), 0, world.bus.spans("events")[0].end)
    assert world.redrive() == (0, 1, 0, 0)


def test_of_two_redrives_at_once_only_one_sends() -> None:
    """Whoever comes later reads what the first has done, and the first can do nothing more."""
    world = World()
    world.produce("events", b"bad")
    world.set_aside("events", "input_range", 0)

    def overtake(step: Step, _transactional_id: str) -> None:
        world.cluster.failpoint = None
        assert step == "begun"
        assert world.redrive() == (1, 0, 0, 0)

    world.cluster.failpoint = overtake
    with pytest.raises(FatalError):
        world.redrive()
    assert len(world.batch("events")) == 2


def test_a_hiccup_is_no_way_around_the_fence() -> None:
    """Overtaken between reading the receipts and sending, and disconnected: the first does not take the id back."""
    world = World()
    world.produce("events", b"bad")
    world.set_aside("events", "input_range", 0)

    def overtake(_client: str, operation: str) -> None:
        if operation == "commit":
            world.cluster.before = None
            world.cluster.disconnect()
            assert world.redrive() == (1, 0, 0, 0)

    world.cluster.before = overtake
    with pytest.raises(FatalError, match="start anew"):
        world.redrive()
    assert len(world.batch("events")) == 2


def test_a_receipt_is_no_dead_letter() -> None:
    """It is not listed, and nobody takes it for an answer to anything."""
    world = World()
    world.produce("events", b"bad")
    world.set_aside("events", "input_range", 0)
    world.redrive()
    assert [record.reason for record in dead_records(world.bus, Wanted())] == ["input_range"]


def test_a_dry_run_counts_and_sends_nothing() -> None:
    """Without a producer the same is counted, and the topic stays as it is."""
    world = World()
    world.produce("events", b"a", b"b")
    world.set_aside("events", "input_range", 0, 1)
    done = redrive(world.bus, Wanted(), dry_run=True)
    assert (done.sent, done.places) == (2, ["dev.loans.events/0/0", "dev.loans.events/0/1"])
    assert len(world.batch("events")) == 2


def test_what_cannot_be_sent_again_is_counted_and_left() -> None:
    """Cut values would be other events, notes of expired records are none, and feedback does not belong on events."""
    world = World()
    world.produce("events", b"a")
    world.produce("feedback", b"f")
    world.set_aside("feedback", "input_missing", 0)
    dead = world.bus.producer()
    cut = [("freshet.role", b"events"), ("freshet.topic", b"dev.loans.events"), ("freshet.truncated", b"9999999")]
    expired = [("freshet.role", b"events"), ("freshet.reason", b"input_expired"), ("freshet.offset", b"7")]
    dead.send(Send("dead-letters", [b"k", None], [b"cut", b""], [0, 0], [cut, expired]))
    assert world.redrive() == (0, 0, 2, 1)
    assert len(world.batch("events")) == 1


def test_reason_and_time_choose_what_is_redriven() -> None:
    """Only dead letters of that reason, and from that time on, are touched."""
    world = World()
    world.produce("events", b"a", b"b", b"c")
    world.set_aside("events", "input_range", 0)
    world.cluster.advance(60_000)
    world.set_aside("events", "input_enum", 1)
    world.set_aside("events", "input_range", 2)
    assert world.redrive("input_range", world.cluster.now_ms) == (1, 0, 0, 0)
    assert world.batch("events").records[-1].value() == b"c"


def test_groups_count_by_reason_and_show_the_newest() -> None:
    """The most frequent reason comes first, with its newest sentence and where to find it."""
    world = World()
    world.produce("events", b"a", b"b", b"c")
    world.set_aside("events", "input_enum", 0)
    world.set_aside("events", "input_range", 1, 2)
    found = groups(dead_records(world.bus, Wanted()))
    assert [(group.reason, group.count, group.example, group.place) for group in found] == [
        ("input_range", 2, "row 2 is bad.", "0/2"),
        ("input_enum", 1, "row 0 is bad.", "0/0"),
    ]


def test_a_reason_that_nothing_was_set_aside_for_is_named() -> None:
    """It is most likely misspelt: nothing is sent, and the reasons that there are are listed."""
    world = World()
    world.produce("events", b"a")
    with pytest.raises(OperateError, match="there is no dead letter at all"):
        check_reason(world.bus, "input_range")
    world.set_aside("events", "input_range", 0)
    check_reason(world.bus, "input_range")
    with pytest.raises(OperateError, match=r"has the reason 'time_out_of_range'; there are input_range\."):
        check_reason(world.bus, "time_out_of_range")


def _letter(offset: int, detail: str) -> DeadRecord:
    return DeadRecord(
        0, offset, 1000 + offset, None, None, {"freshet.reason": "input_malformed", "freshet.detail": detail}
    )


def test_different_mistakes_of_one_reason_are_counted_apart_where_that_is_asked() -> None:
    """The newest sentence would hide the others. Values and numbers do not tell mistakes apart, fields do."""
    details = [
        "amount: 'a' is no number.",
        "amount: 'b' is no number.",
        "key 'who' is missing.",
        "key 'at' is missing.",
    ]
    letters = [_letter(at, detail) for at, detail in enumerate([*details, "at: 12 is below 40.", "at: 7 is below 40."])]
    (one,) = groups(iter(letters))
    assert (one.count, len(one.kinds), one.example) == (6, 4, "at: 7 is below 40.")
    assert [(group.count, group.example, group.place) for group in groups(iter(letters), by_sentence=True)] == [
        (2, "amount: 'b' is no number.", "0/1"),
        (2, "at: 7 is below 40.", "0/5"),
        (1, "key 'at' is missing.", "0/3"),
        (1, "key 'who' is missing.", "0/2"),
    ]
    said = "\n".join(_others([one], "shop"))
    assert said.startswith("input_malformed has 4 kinds of sentence")
    assert said.endswith("`freshet dead-letters list --pipeline shop --reason input_malformed`")
