"""What every bus must do alike with transactions: one suite over the bus in memory and over a real Kafka."""

import pytest

from freshet.runtime.bus.protocol import (
    Collected,
    Committed,
    FatalError,
    GroupConsumer,
    Place,
    RefusedError,
    RetriableError,
    TooLargeError,
    Transaction,
)
from support.buses import (
    BusWorld,
    as_rows,
    assert_reads,
    collect,
    committed,
    gather,
    opened,
    read_all,
    read_once_there,
    send,
    settled,
    until,
    values_of,
    write,
)

P0 = Place("events", 0)


def first_batch(bus_world: BusWorld, consumer: GroupConsumer) -> Collected:
    """A batch of one row that was just written to P0."""
    write(bus_world.bus, "events", b"event")
    consumer.start(P0, 0)
    return until(lambda: collect(consumer))


def test_a_committed_transaction_is_seen_whole_and_in_order(bus_world: BusWorld) -> None:
    """Records for several topics and partitions become visible, each partition in the order of the sends."""
    bus_world.make_topics("predictions", "dead-letters")
    producer = opened(bus_world.bus)
    sends = [
        send("predictions", b"1", b"2", partition=0),
        send("predictions", b"x", partition=1),
        send("predictions", b"3", partition=0),
        send("dead-letters", b"bad"),
    ]
    producer.commit(Transaction(sends))
    seen = read_once_there(bus_world.bus, "predictions", 4)
    assert [record.value() for record in seen if record.partition() == 0] == [b"1", b"2", b"3"]
    assert [record.value() for record in seen if record.partition() == 1] == [b"x"]
    assert_reads(bus_world.bus, "dead-letters", [b"bad"])


def test_an_open_transaction_hides_what_follows_and_a_successor_ends_it(bus_world: BusWorld) -> None:
    """Nobody sees a row at or after an open transaction's first; the successor's `open` aborts it for good."""
    bus_world.make_topics("predictions", partitions=1)
    write(bus_world.bus, "predictions", b"before")
    bus_world.crash(
        opened(bus_world.bus, "0"), Transaction([send("predictions", b"dead", b"dead too")]), "offsets_sent"
    )
    opened(bus_world.bus, "1").commit(Transaction([send("predictions", b"after")]))
    assert_reads(bus_world.bus, "predictions", [b"before"])
    assert bus_world.bus.spans("predictions")[0].end == 1

    opened(bus_world.bus, "0")
    seen = read_once_there(bus_world.bus, "predictions", 2)
    assert values_of(seen) == [b"before", b"after"]
    assert [record.offset() for record in seen] == [0, 3], "aborted rows and markers keep their offsets"


def test_a_group_consumer_sees_no_more_than_a_reader(bus_world: BusWorld) -> None:
    """A member of a group waits before an open transaction too, and goes on behind the aborted rows."""
    bus_world.make_topics("features", partitions=1)
    place = Place("features", 0)
    bus_world.crash(opened(bus_world.bus, "0"), Transaction([send("features", b"dead")]), "offsets_sent")
    opened(bus_world.bus, "1").commit(Transaction([send("features", b"alive")]))
    consumer = settled(bus_world.bus, "features", owns=1)
    consumer.start(place, 0)
    assert collect(consumer) is None
    opened(bus_world.bus, "0")
    assert gather(consumer, 1) == [(place, 1, b"alive")]


def test_a_group_starts_without_committed_offsets(bus_world: BusWorld) -> None:
    """None is not zero: the loop must be able to tell a first start."""
    bus_world.make_topics("events")
    consumer = settled(bus_world.bus, "events", owns=2)
    assert committed(consumer, P0) is None


def test_offsets_and_their_metadata_come_back_as_committed(bus_world: BusWorld) -> None:
    """The metadata of a transactional commit round-trips; a commit needs no records, and no batch."""
    bus_world.make_topics("events")
    consumer = settled(bus_world.bus, "events", owns=2)
    producer = opened(bus_world.bus)
    offsets = {P0: Committed(0, "e=0 f=0"), Place("events", 1): Committed(7, "")}
    producer.commit(Transaction(offsets=offsets, membership=consumer.membership()))
    assert {place: committed(consumer, place) for place in offsets} == offsets
    producer.commit(Transaction(offsets={P0: Committed(5, "e=7 f=1")}, membership=consumer.membership()))
    assert committed(consumer, P0) == Committed(5, "e=7 f=1")


def test_records_and_offsets_become_visible_together(bus_world: BusWorld) -> None:
    """After a crash before the end neither is there, and the offsets are unknowable until it is aborted; then both."""
    bus_world.make_topics("events", "predictions")
    consumer = settled(bus_world.bus, "events", owns=2)
    batch = first_batch(bus_world, consumer)
    answer = Transaction([send("predictions", b"answer")], {P0: Committed(1, "e=1 f=0")}, batch.membership)
    bus_world.crash(opened(bus_world.bus), answer, "offsets_sent")
    assert read_all(bus_world.bus, "predictions") == []
    with pytest.raises(RetriableError):
        consumer.committed([P0], 0.5)

    successor = opened(bus_world.bus)
    assert committed(consumer, P0) is None
    assert read_all(bus_world.bus, "predictions") == []
    successor.commit(answer)
    assert committed(consumer, P0) == Committed(1, "e=1 f=0")
    assert_reads(bus_world.bus, "predictions", [b"answer"])


def test_a_crash_after_the_commit_loses_nothing(bus_world: BusWorld) -> None:
    """Once `committed` is reached, records and offsets stay, whoever comes next."""
    bus_world.make_topics("events", "predictions")
    consumer = settled(bus_world.bus, "events", owns=2)
    batch = first_batch(bus_world, consumer)
    answer = Transaction([send("predictions", b"answer")], {P0: Committed(1, "e=1 f=0")}, batch.membership)
    bus_world.crash(opened(bus_world.bus), answer, "committed")
    opened(bus_world.bus)
    assert committed(consumer, P0) == Committed(1, "e=1 f=0")
    assert_reads(bus_world.bus, "predictions", [b"answer"])


def test_open_fences_the_predecessor(bus_world: BusWorld) -> None:
    """Of two producers with one transactional id only the younger can write; others are not touched."""
    bus_world.make_topics("rollouts")
    old, other = opened(bus_world.bus, "0"), opened(bus_world.bus, "1")
    old.commit(Transaction([send("rollouts", b"6")]))
    young = opened(bus_world.bus, "0")
    with pytest.raises(FatalError):
        old.commit(Transaction([send("rollouts", b"7, by the old")]))
    young.commit(Transaction([send("rollouts", b"7")]))
    other.commit(Transaction([send("rollouts", b"other")]))
    assert_reads(bus_world.bus, "rollouts", [b"6", b"7", b"other"])


def test_a_commit_never_takes_an_id_back(bus_world: BusWorld) -> None:
    """A suspect client that may not re-open leaves its successor alone: what it read before is out of date."""
    bus_world.make_topics("rollouts")
    old = opened(bus_world.bus, reopen=False)
    bus_world.commit_slowly(old, Transaction([send("rollouts", b"6")]))
    young = opened(bus_world.bus, reopen=False)
    young.commit(Transaction([send("rollouts", b"7")]))
    with pytest.raises(FatalError, match="start anew"):
        old.commit(Transaction([send("rollouts", b"7, by the old")]))
    young.commit(Transaction([send("rollouts", b"8")]))
    assert_reads(bus_world.bus, "rollouts", [b"6", b"7", b"8"])


@pytest.mark.parametrize("reopen", [True, False])
def test_an_oversize_record_is_refused_and_the_same_client_goes_on(bus_world: BusWorld, reopen: bool) -> None:
    """Nothing of its transaction is written, and it costs whoever may not re-open neither id nor process."""
    bus_world.make_topics("rollouts")
    producer = opened(bus_world.bus, reopen=reopen)
    with pytest.raises(TooLargeError):
        producer.commit(Transaction([send("rollouts", b"small"), send("rollouts", b"x" * 1_100_000)]))
    producer.commit(Transaction([send("rollouts", b"6")]))
    assert_reads(bus_world.bus, "rollouts", [b"6"])


def test_a_suspect_client_that_may_reopen_goes_on(bus_world: BusWorld) -> None:
    """A data loop's slow commit costs a new client, and nothing else."""
    bus_world.make_topics("predictions")
    producer = opened(bus_world.bus)
    bus_world.commit_slowly(producer, Transaction([send("predictions", b"1")]))
    producer.commit(Transaction([send("predictions", b"2")]))
    assert_reads(bus_world.bus, "predictions", [b"1", b"2"])


def test_a_suspect_member_polls_before_it_takes_its_id_anew(bus_world: BusWorld) -> None:
    """Its first commit with offsets is refused before anything is begun; the next one re-opens and passes."""
    bus_world.make_topics("events", "predictions")
    consumer = settled(bus_world.bus, "events", owns=2)
    producer = opened(bus_world.bus)
    bus_world.commit_slowly(producer, Transaction([send("predictions", b"1")]))
    batch = first_batch(bus_world, consumer)
    answer = Transaction([send("predictions", b"2")], {P0: Committed(1, "e=1 f=0")}, batch.membership)
    with pytest.raises(RefusedError):
        producer.commit(answer)
    producer.commit(answer)
    assert committed(consumer, P0) == Committed(1, "e=1 f=0")
    assert_reads(bus_world.bus, "predictions", [b"1", b"2"])


def test_committed_offsets_go_with_their_topic(bus_world: BusWorld) -> None:
    """A topic made anew begins without committed offsets: the old ones would point into other records."""
    bus_world.make_topics("events")
    consumer = settled(bus_world.bus, "events", owns=2)
    offsets = {P0: Committed(3, "e=1 f=0")}
    opened(bus_world.bus).commit(Transaction(offsets=offsets, membership=consumer.membership()))
    assert committed(consumer, P0) == offsets[P0]
    consumer.close()
    bus_world.delete_topic("events")
    bus_world.make_topics("events")
    successor = settled(bus_world.bus, "events", owns=2)
    assert committed(successor, P0) is None


def test_rows_of_a_batch_are_those_of_the_partition(bus_world: BusWorld) -> None:
    """What a consumer's batch shows is what was committed, place and offset included, across a marker."""
    bus_world.make_topics("features", partitions=1)
    producer = opened(bus_world.bus)
    for value in (b"a", b"b"):
        producer.commit(Transaction([send("features", value)]))
    consumer = settled(bus_world.bus, "features", owns=1)
    consumer.start(Place("features", 0), 0)
    collected = until(lambda: collect(consumer))
    rows = [row for batch in collected.batches for row in as_rows(batch)]
    rows += gather(consumer, 2 - len(rows))
    assert [(offset, value) for _, offset, value in rows] == [(0, b"a"), (2, b"b")]
