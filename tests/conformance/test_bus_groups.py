"""What every bus must do alike with consumer groups: one suite over the bus in memory and over a real Kafka."""

import pytest

from freshet.runtime.bus.protocol import (
    Collected,
    Committed,
    FatalError,
    GroupConsumer,
    Place,
    RefusedError,
    Transaction,
)
from support.buses import (
    BusWorld,
    assert_reads,
    collect,
    committed,
    gather,
    member,
    opened,
    read_all,
    send,
    settle,
    settled,
    until,
    write,
)

PLACES = frozenset(Place("events", partition) for partition in range(4))


def answer(collected: Collected, membership: object) -> Transaction:
    """One prediction for each row of the batch, and the offsets behind the batch."""
    (batch,) = collected.batches
    offsets = {Place("events", int(p)): Committed(int(batch.offsets[batch.rows(p)][-1]) + 1) for p in batch.partitions}
    return Transaction([send("predictions", *batch.values)], offsets, membership)


def newcomer(bus_world: BusWorld, first: GroupConsumer) -> GroupConsumer:
    """A second member, once it has its one partition."""
    second = member(bus_world.bus, "events")
    settle(lambda: len(second.owned()) == 1, first, second)
    return second


def test_a_group_shares_its_partitions(bus_world: BusWorld) -> None:
    """Two members have two each; changes say what came and went; who stays keeps what they keep flowing."""
    bus_world.make_topics("events", partitions=4)
    first = settled(bus_world.bus, "events", owns=4)
    assert set(first.take_changes().assigned) == PLACES
    for place in PLACES:
        first.start(place, 0)
    second = member(bus_world.bus, "events")
    settle(lambda: len(second.owned()) == 2, first, second)

    assert first.owned() | second.owned() == PLACES
    assert len(first.owned()) == 2
    changes = first.take_changes()
    assert set(changes.revoked) == second.owned()
    assert not changes.assigned
    assert set(second.take_changes().assigned) == second.owned()
    for place in PLACES:
        write(bus_world.bus, "events", b"row", partition=place.partition)
    assert {place for place, _, _ in gather(first, 2)} == first.owned(), "kept partitions flow without a new start"
    assert collect(second) is None, "moved partitions arrive paused"


def test_who_closes_gives_its_partitions_back(bus_world: BusWorld) -> None:
    """An elastic member leaves at once: the other gets the partitions, and can read the committed offsets."""
    bus_world.make_topics("events", partitions=4)
    first = settled(bus_world.bus, "events", owns=4)
    second = member(bus_world.bus, "events")
    settle(lambda: len(second.owned()) == 2, first, second)
    first.take_changes()
    moved = second.owned()
    place = min(moved)
    leave = Transaction(offsets={place: Committed(3, "e=2 f=0")}, membership=second.membership())
    opened(bus_world.bus).commit(leave)
    second.close()
    settle(lambda: first.owned() == PLACES, first)
    assert set(first.take_changes().assigned) == moved
    assert committed(first, place) == Committed(3, "e=2 f=0")


def test_a_commit_that_a_rebalance_has_overtaken_is_refused(bus_world: BusWorld) -> None:
    """The membership of the batch is void once the group has a new generation; the next batch's is good."""
    bus_world.make_topics("events", "predictions")
    write(bus_world.bus, "events", b"a")
    first = settled(bus_world.bus, "events", owns=2)
    for place in first.owned():
        first.start(place, 0)
    collected = until(lambda: collect(first))
    second = newcomer(bus_world, first)

    producer = opened(bus_world.bus)
    with pytest.raises(RefusedError):
        producer.commit(answer(collected, collected.membership))
    assert read_all(bus_world.bus, "predictions") == []
    owner = next(consumer for consumer in (first, second) if Place("events", 0) in consumer.owned())
    assert committed(owner, Place("events", 0)) is None
    owner.start(Place("events", 0), 0)
    again = until(lambda: collect(owner))
    producer.commit(answer(again, again.membership))
    assert_reads(bus_world.bus, "predictions", [b"a"])


def test_a_rebalance_inside_a_collect_interrupts_the_batch(bus_world: BusWorld) -> None:
    """The batch says that it is interrupted, and its own membership is refused.

    Only the membership read early protects it: brokers do not check who owns a partition, so with one read later the
    row that the new owner has answered is answered twice. That is why `collect` hands the membership out.
    """
    bus_world.make_topics("events", "predictions")
    for partition in (0, 1):
        write(bus_world.bus, "events", b"row", partition=partition)
    first = settled(bus_world.bus, "events", owns=2)
    rehearsal = newcomer(bus_world, first)
    (moving,) = rehearsal.owned()
    rehearsal.close()
    settle(lambda: len(first.owned()) == 2, first)

    first.start(moving, 0)
    joined: list[GroupConsumer] = []
    bus_world.tear_next_collect(first, lambda: joined.append(member(bus_world.bus, "events")))
    interrupted = until(lambda: collect(first))
    assert interrupted.interrupted
    with pytest.raises(RefusedError):
        opened(bus_world.bus).commit(answer(interrupted, interrupted.membership))
    assert read_all(bus_world.bus, "predictions") == []

    (second,) = joined
    settle(lambda: second.owned() == {moving}, first, second)
    second.start(moving, 0)
    whole = until(lambda: collect(second))
    opened(bus_world.bus, "1").commit(answer(whole, whole.membership))
    opened(bus_world.bus, "0").commit(answer(interrupted, first.membership()))
    assert_reads(bus_world.bus, "predictions", [b"row", b"row"])


def test_a_fixed_slot_takes_its_predecessors_place(bus_world: BusWorld) -> None:
    """With the same instance: same partitions, same generation; only the predecessor is refused, and must exit."""
    bus_world.make_topics("events", partitions=4)
    old, other = (member(bus_world.bus, "events", instance=slot) for slot in ("0", "1"))
    settle(lambda: len(old.owned()) == len(other.owned()) == 2, old, other)
    owned, membership, undisturbed = old.owned(), old.membership(), other.membership()
    other.take_changes()

    successor = member(bus_world.bus, "events", instance="0")
    settle(lambda: successor.owned() == owned, successor, other)
    assert set(successor.take_changes().assigned) == owned
    assert other.take_changes().assigned == other.take_changes().revoked == ()
    place = min(owned)
    with pytest.raises(RefusedError):
        opened(bus_world.bus, "0").commit(Transaction(offsets={place: Committed(9)}, membership=membership))
    with pytest.raises(FatalError):
        until(lambda: collect(old))
    opened(bus_world.bus, "0").commit(Transaction(offsets={place: Committed(1)}, membership=successor.membership()))
    assert committed(successor, place) == Committed(1)
    opened(bus_world.bus, "1").commit(Transaction(offsets={max(other.owned()): Committed(2)}, membership=undisturbed))
    assert committed(other, max(other.owned())) == Committed(2)


def test_closing_a_fixed_slot_keeps_its_place(bus_world: BusWorld) -> None:
    """A restart in place moves nothing: the partitions wait for the slot, the other member sees no change."""
    bus_world.make_topics("events", partitions=4)
    first, other = (member(bus_world.bus, "events", instance=slot) for slot in ("0", "1"))
    settle(lambda: len(first.owned()) == len(other.owned()) == 2, first, other)
    owned = first.owned()
    other.take_changes()
    first.close()
    restarted = member(bus_world.bus, "events", instance="0")
    settle(lambda: restarted.owned() == owned, restarted, other)
    changes = other.take_changes()
    assert changes.assigned == changes.revoked == ()
