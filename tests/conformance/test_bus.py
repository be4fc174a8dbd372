"""What every bus must do alike with records: one suite over the bus in memory and over a real Kafka."""

import pytest

from freshet.contracts.topic_id import to_bytes, to_text
from freshet.runtime.bus.murmur2 import partition_for
from freshet.runtime.bus.protocol import ExpiredError, Place, Send, Span, TooLargeError, Transaction
from support.buses import (
    BusWorld,
    assert_reads,
    collect,
    gather,
    member,
    opened,
    patiently,
    read_all,
    read_once_there,
    send,
    settled,
    until,
    write,
)

P0, P1 = Place("events", 0), Place("events", 1)


def test_records_of_a_partition_come_in_the_order_they_were_written(bus_world: BusWorld) -> None:
    """Through many small batches, offsets ascend and no row is missing or repeated."""
    bus_world.make_topics("events")
    values = [b"%03d" % index for index in range(50)]
    offsets = write(bus_world.bus, "events", *values)
    consumer = settled(bus_world.bus, "events", owns=2)
    consumer.start(P0, 0)
    rows: list[tuple[int, bytes | None]] = []
    while len(rows) < len(values):
        collected = collect(consumer, limit=7)
        if collected is not None:
            (batch,) = collected.batches
            assert len(batch) <= 7
            rows += list(zip(batch.offsets.tolist(), batch.values, strict=True))
    assert rows == list(zip(offsets, values, strict=True))


def test_a_record_carries_key_value_headers_and_place(bus_world: BusWorld) -> None:
    """Bytes come back untouched; null and empty values are not the same thing."""
    bus_world.make_topics("dead-letters")
    headers = [[("freshet.reason", b"input_framing"), ("again", b""), ("again", b"\x00\xff")], []]
    producer = opened(bus_world.bus)
    rows = Send("dead-letters", [b"\x00key", None], [None, b""], [1, 1], headers)
    producer.commit(Transaction([rows]))
    first, second = read_once_there(bus_world.bus, "dead-letters", 2)
    assert (first.key(), first.value(), first.partition()) == (b"\x00key", None, 1)
    assert list(first.headers() or ()) == headers[0]
    assert (second.key(), second.value()) == (None, b"")
    assert not second.headers()
    assert first.topic().endswith("fraud.dead-letters")
    assert second.timestamp()[1] >= first.timestamp()[1] > 0


def test_keys_find_their_partition_by_murmur2(bus_world: BusWorld) -> None:
    """Without partitions in the send, transactional or not, every key lies where Java would have put it."""
    bus_world.make_topics("events", partitions=5)
    keys = [b"21", b"foobar", b"", b"a-little-bit-long-string", "käse".encode()]
    bus_world.bus.producer().send(Send("events", keys, keys))
    opened(bus_world.bus).commit(Transaction([Send("events", keys, keys)]))
    placed = sorted((record.value() or b"", record.partition()) for record in read_all(bus_world.bus, "events"))
    assert placed == sorted([(key, partition_for(key, 5)) for key in keys] * 2)


def test_a_partition_delivers_only_from_start_to_pause(bus_world: BusWorld) -> None:
    """New partitions arrive paused; `start` gives the rows from that offset on; `pause` ends it until `start`."""
    bus_world.make_topics("events")
    write(bus_world.bus, "events", b"a", b"b", b"c", partition=0)
    write(bus_world.bus, "events", b"x", partition=1)
    consumer = settled(bus_world.bus, "events", owns=2)
    assert collect(consumer) is None
    consumer.start(P0, 1)
    assert gather(consumer, 2) == [(P0, 1, b"b"), (P0, 2, b"c")]
    consumer.pause(P0)
    write(bus_world.bus, "events", b"d")
    consumer.start(P1, 0)
    assert gather(consumer, 1) == [(P1, 0, b"x")]
    assert collect(consumer) is None
    consumer.start(P0, 0)
    assert [value for _, _, value in gather(consumer, 4)] == [b"a", b"b", b"c", b"d"]


def test_a_collect_holds_one_batch_for_each_role(bus_world: BusWorld) -> None:
    """A member of two topics gets each role's rows in a batch of its own."""
    bus_world.make_topics("events", "feedback", partitions=1)
    write(bus_world.bus, "events", b"e")
    write(bus_world.bus, "feedback", b"f")
    consumer = member(bus_world.bus, "events", "feedback")
    until(lambda: collect(consumer) is None and len(consumer.owned()) == 2)
    for place in consumer.owned():
        consumer.start(place, 0)
    assert sorted(gather(consumer, 2)) == [(Place("events", 0), 0, b"e"), (Place("feedback", 0), 0, b"f")]


def test_spans_say_what_a_partition_holds(bus_world: BusWorld) -> None:
    """Low and end follow writes and retention; a topic that is not there has none, no id and no partition."""
    assert bus_world.bus.spans("events") == {}
    assert bus_world.bus.topic_id("events") == ""
    bus_world.make_topics("events")
    assert bus_world.bus.partition_counts(["events", "labels"]) == {"events": 2, "labels": 0}
    write(bus_world.bus, "events", b"a", b"b", b"c", partition=1)
    assert bus_world.bus.spans("events") == {0: Span(0, 0, 0), 1: Span(0, 3, 3)}
    bus_world.truncate(P1, 2)
    assert bus_world.bus.spans("events") == {0: Span(0, 0, 0), 1: Span(2, 3, 3)}
    consumer = settled(bus_world.bus, "events", owns=2)
    assert consumer.span(P1) == Span(2, 3, 3)
    assert_reads(bus_world.bus, "events", [b"c"])


def test_a_span_tells_of_an_open_transaction(bus_world: BusWorld) -> None:
    """What an open transaction hides lies between end and high; what is decided from the visible part may be wrong."""
    bus_world.make_topics("predictions")
    opened(bus_world.bus, "0").commit(Transaction([send("predictions", b"a")]))
    until(lambda: bus_world.bus.spans("predictions")[0] == Span(0, 2, 2))  # its marker comes after the commit
    assert not bus_world.bus.spans("predictions")[0].open
    bus_world.crash(opened(bus_world.bus, "1"), Transaction([send("predictions", b"b")]), "produced")
    write(bus_world.bus, "predictions", b"c", partition=0)
    until(lambda: bus_world.bus.spans("predictions")[0] == Span(0, 2, 4))
    assert bus_world.bus.spans("predictions")[0].open
    opened(bus_world.bus, "1")  # a successor aborts it
    until(lambda: bus_world.bus.spans("predictions")[0] == Span(0, 5, 5))


def test_an_offset_is_found_by_the_brokers_time(bus_world: BusWorld) -> None:
    """The first record that is not older; the end where all are older, or there is none; nothing without a topic."""
    assert bus_world.bus.offsets_at("events", 0) == {}
    bus_world.make_topics("events")
    write(bus_world.bus, "events", b"a", b"b", partition=1)
    bus_world.pass_time(50)
    write(bus_world.bus, "events", b"c", partition=1)
    first, _, last = [record.timestamp()[1] for record in read_all(bus_world.bus, "events")]
    assert first < last
    assert bus_world.bus.offsets_at("events", first) == {0: 0, 1: 0}
    assert bus_world.bus.offsets_at("events", last) == {0: 0, 1: 2}
    assert bus_world.bus.offsets_at("events", last + 1) == {0: 0, 1: 3}


@pytest.mark.parametrize("position", [0, 9])
def test_an_expired_position_is_told_once(bus_world: BusWorld, position: int) -> None:
    """Below or beyond what the topic holds: one ExpiredError, then silence until `start`; the others flow on."""
    bus_world.make_topics("events")
    write(bus_world.bus, "events", b"a", b"b", b"c")
    write(bus_world.bus, "events", b"x", partition=1)
    bus_world.truncate(P0, 2)
    consumer = settled(bus_world.bus, "events", owns=2)
    consumer.start(P0, position)
    with pytest.raises(ExpiredError) as expired:
        until(lambda: collect(consumer))
    assert (expired.value.place, expired.value.position) == (P0, position)
    assert collect(consumer) is None
    consumer.start(P1, 0)
    assert gather(consumer, 1) == [(P1, 0, b"x")]
    consumer.start(P0, 2)
    assert gather(consumer, 1) == [(P0, 2, b"c")]


@pytest.mark.parametrize("size_bytes", [1_100_000, 2_000_000])
def test_an_oversize_record_aborts_its_whole_transaction(bus_world: BusWorld, size_bytes: int) -> None:
    """Too large for the topic, or even for the client: TooLargeError, nothing is seen, and the producer goes on."""
    bus_world.make_topics("predictions", partitions=1)
    producer = opened(bus_world.bus)
    with pytest.raises(TooLargeError):
        producer.commit(Transaction([send("predictions", b"small", bytes(size_bytes))]))
    producer.commit(Transaction([send("predictions", b"next")]))
    assert_reads(bus_world.bus, "predictions", [b"next"])


def test_a_dead_letter_may_be_larger_than_any_event(bus_world: BusWorld) -> None:
    """The topic's own limit counts: an event of the largest legal size fits into dead letters, with its context."""
    bus_world.make_topics("dead-letters", partitions=1)
    opened(bus_world.bus).commit(Transaction([send("dead-letters", bytes(1_100_000))]))
    assert_reads(bus_world.bus, "dead-letters", [bytes(1_100_000)])


def test_a_reader_is_caught_up_over_markers_and_on_empty_topics(bus_world: BusWorld) -> None:
    """Transaction markers occupy offsets: the end is reached although no record carries the last offset."""
    bus_world.make_topics("predictions")
    assert patiently(lambda: bus_world.bus.reader(["predictions"])).caught_up()
    opened(bus_world.bus).commit(Transaction([send("predictions", b"a")]))
    until(
        lambda: patiently(lambda: bus_world.bus.spans("predictions"))[0] == Span(0, 2, 2)
    )  # its marker comes after the commit
    reader = patiently(lambda: bus_world.bus.reader(["predictions"]))
    assert not reader.caught_up()
    until(lambda: reader.read(10, 0.1) == [] and reader.caught_up())
    write(bus_world.bus, "predictions", b"b")
    assert reader.caught_up(), "the ends are those seen when the reader was made"
    patiently(reader.mark_ends)
    assert not reader.caught_up()
    assert until(lambda: [value for batch in reader.read(10, 0.1) for value in batch.values]) == [b"b"]
    reader.close()


def test_a_reader_reads_only_its_starts_from_there_on(bus_world: BusWorld) -> None:
    """Partitions that are not named are left alone; a start that retention has overtaken begins at what is left."""
    bus_world.make_topics("events")
    write(bus_world.bus, "events", b"a", b"b", b"c", partition=0)
    write(bus_world.bus, "events", b"x", partition=1)
    assert_reads(bus_world.bus, "events", [b"b", b"c"], {P0: 1})
    bus_world.truncate(P0, 2)
    assert_reads(bus_world.bus, "events", [b"c"], {P0: 0})


@pytest.mark.parametrize("first", [128, 2**40, 2**63 - 256])
def test_a_range_beyond_the_end_holds_nothing(bus_world: BusWorld, first: int) -> None:
    """A stranger's record may name any offset: it costs no reading of the whole topic, and no error."""
    bus_world.make_topics("events")
    write(bus_world.bus, "events", *[b"%d" % at for at in range(20)])
    ranges = bus_world.bus.ranges(["events"])
    records, reached = ranges.read(P0, first, first + 128)
    assert not records
    assert reached <= first
    records, _ = ranges.read(P0, 0, 128)
    assert len(records) == 20
    ranges.close()


def test_a_fold_of_a_compacted_topic_keeps_each_keys_last_value(bus_world: BusWorld) -> None:
    """Whether or not the cleaner has run, the last value of every key is there, and a tombstone is a null value."""
    bus_world.make_topics("models")
    for key, value in ((b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"b", None)):
        write(bus_world.bus, "models", value, key=key)
    folded = {record.key(): record.value() for record in read_all(bus_world.bus, "models")}
    assert folded == {b"a": b"2", b"b": None}


def test_a_topic_made_anew_has_another_id(bus_world: BusWorld) -> None:
    """The name is the same, the offsets begin again, the id tells the two apart."""
    bus_world.make_topics("events")
    first = bus_world.bus.topic_id("events")
    assert to_text(to_bytes(first)) == first == bus_world.bus.topic_id("events")
    write(bus_world.bus, "events", b"old")
    bus_world.delete_topic("events")
    bus_world.make_topics("events")
    assert bus_world.bus.topic_id("events") not in {"", first}
    assert read_all(bus_world.bus, "events") == []


def test_a_bus_of_another_pipeline_sees_its_data_and_the_same_control_topics(bus_world: BusWorld) -> None:
    """One service for all pipelines reads each one's log."""
    bus_world.make_topics("events", "candidates")
    write(bus_world.bus, "events", b"ours")
    write(bus_world.bus, "candidates", b"everybody's")
    mine, other = bus_world.bus.of_pipeline("fraud"), bus_world.bus.of_pipeline("another")
    assert_reads(mine, "events", [b"ours"])
    assert other.spans("events") == {}
    assert_reads(other, "candidates", [b"everybody's"])
