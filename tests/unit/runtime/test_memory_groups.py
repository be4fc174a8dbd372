"""Groups of the bus in memory: what real brokers do only after long waits, and the assignor's arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshet.runtime.bus.memory.assignors import sticky_assignment
from freshet.runtime.bus.memory.memory_consumer import MemoryGroupConsumer
from freshet.runtime.bus.memory.partition_log import At
from freshet.runtime.bus.protocol import Changes, Committed, FatalError, Place, RefusedError, Transaction
from support.buses import MemoryWorld, collect, member, opened, settle, settled, write

PLACES = frozenset(Place("events", partition) for partition in range(4))


@pytest.fixture
def world() -> MemoryWorld:
    """A cluster with one topic of four partitions."""
    world = MemoryWorld()
    world.make_topics("events", partitions=4)
    return world


def joined(world: MemoryWorld, instance: str | None = None) -> MemoryGroupConsumer:
    """A new member, as yet without partitions."""
    return world.bus.consumer("inference", ["events"], instance)


def test_an_expired_member_loses_everything_and_joins_anew(world: MemoryWorld) -> None:
    """A hung member's partitions go to the others; when it polls again it has lost them, and gets its share anew."""
    hung, other = joined(world), joined(world)
    settle(lambda: len(hung.owned()) == len(other.owned()) == 2, hung, other)
    lost, membership = hung.owned(), hung.membership()
    hung.take_changes()
    world.cluster.expire(hung.member)
    settle(lambda: other.owned() == PLACES, other)
    with pytest.raises(RefusedError, match="UNKNOWN_MEMBER_ID"):
        opened(world.bus).commit(Transaction(offsets={min(lost): Committed(1)}, membership=membership))

    collect(hung)
    changes = hung.take_changes()
    assert set(changes.revoked) == lost
    assert hung.owned() == frozenset(changes.assigned) == frozenset(), "the other has not given anything up yet"
    settle(lambda: len(hung.owned()) == 2, other, hung)
    assert hung.owned() | other.owned() == PLACES


def test_a_fixed_slot_that_expired_and_was_replaced_must_exit(world: MemoryWorld) -> None:
    """Two processes never hold one slot: the older one hears it at its next poll."""
    old = joined(world, "0")
    collect(old)
    world.cluster.expire(old.member)
    settle(lambda: True, joined(world, "0"))
    with pytest.raises(FatalError, match="taken the place"):
        collect(old)


def test_a_rebalance_that_moves_nothing_still_tears(world: MemoryWorld) -> None:
    """The generation has changed, so the batch's membership is void, although every partition is kept."""
    write(world.bus, "events", b"a", b"b")
    consumer = joined(world)
    settle(lambda: consumer.owned() == PLACES, consumer)
    consumer.start(Place("events", 0), 0)
    consumer.take_changes()
    world.cluster.rebalance_during_next_collect(consumer.member)
    collected = collect(consumer)
    assert collected is not None
    assert collected.interrupted
    assert collected.membership != consumer.membership()
    assert consumer.take_changes().revoked == ()
    consumer.start(Place("events", 0), 0)
    again = collect(consumer)
    assert again is not None
    assert not again.interrupted


def test_a_partition_waits_until_its_old_owner_lets_go(world: MemoryWorld) -> None:
    """Cooperative hand-over takes two generations: until the old owner has polled, nobody else has the partition."""
    old = settled(world.bus, "events", owns=4)
    new = joined(world)
    generation = new.membership().generation
    for _ in range(3):
        collect(new)
    assert new.owned() == frozenset()
    assert old.owned() == PLACES
    assert new.membership().generation == generation
    collect(old)
    assert new.membership().generation == generation + 1
    collect(new)
    assert old.owned() | new.owned() == PLACES
    assert not old.owned() & new.owned()


def test_gained_and_lost_between_two_looks_is_no_change(world: MemoryWorld) -> None:
    """Changes are net: a partition that came and went is not mentioned."""
    first = joined(world)
    collect(first)
    second = joined(world)
    settle(lambda: len(second.owned()) == 2, first, second)
    changes = first.take_changes()
    assert frozenset(changes.assigned) == first.owned()
    assert changes.revoked == ()


def test_a_topic_made_anew_arrives_anew(world: MemoryWorld) -> None:
    """Partitions of a deleted topic are revoked; of the new one they arrive paused, without committed offsets."""
    consumer = settled(world.bus, "events", owns=4)
    write(world.bus, "events", b"old")
    consumer.start(Place("events", 0), 0)
    consumer.take_changes()
    world.delete_topic("events")
    world.make_topics("events", partitions=4)
    write(world.bus, "events", b"new")
    assert collect(consumer) is None
    changes = consumer.take_changes()
    assert frozenset(changes.revoked) == frozenset(changes.assigned) == PLACES


def test_in_a_topic_made_anew_unnoticed_a_member_goes_on_at_its_old_position(world: MemoryWorld) -> None:
    """As the client library does: rows of the new topic arrive as if nothing had happened, from the old offset on."""
    consumer = settled(world.bus, "events", owns=4)
    write(world.bus, "events", b"old 0", b"old 1")
    place = Place("events", 0)
    world.cluster.group(world.names.group("inference")).commit(At(world.names.topic("events"), 0), Committed(1))
    consumer.start(place, 0)
    assert collect(consumer) is not None
    consumer.take_changes()
    before = world.bus.topic_id("events")
    world.cluster.remake_topic(world.names.topic("events"))
    write(world.bus, "events", b"new 0", b"new 1", b"new 2")
    got = collect(consumer)
    assert world.bus.topic_id("events") != before
    assert got is not None
    assert not got.interrupted
    assert got.batches[0].offsets.tolist() == [2]
    assert consumer.take_changes() == Changes()
    assert consumer.committed([place], 1.0) == {place: None}


def test_a_grown_topic_gives_its_new_partition_to_a_member(world: MemoryWorld) -> None:
    """The group divides anew, and what was there keeps its records."""
    consumer = settled(world.bus, "events", owns=4)
    write(world.bus, "events", b"1")
    consumer.take_changes()
    world.cluster.grow_topic(world.names.topic("events"))
    settle(lambda: len(consumer.owned()) == 5, consumer)
    assert consumer.take_changes().assigned == (Place("events", 4),)
    assert sum(span.end for span in world.bus.spans("events").values()) == 1


def test_members_of_a_group_read_alike(world: MemoryWorld) -> None:
    """Two services under one group name are a mistake, and are told so."""
    world.make_topics("feedback")
    joined(world)
    with pytest.raises(ValueError, match="so must"):
        member(world.bus, "feedback")


def range_member(world: MemoryWorld, instance: str | None = None) -> MemoryGroupConsumer:
    """A new member of a group that divides eagerly."""
    return world.bus.consumer("inference", ["events", "features"], instance, "range")


def numbers(consumer: MemoryGroupConsumer) -> dict[str, set[int]]:
    """Partition numbers owned, by role."""
    return {
        role: {place.partition for place in consumer.owned() if place.role == role} for role in ("events", "features")
    }


def test_range_gives_equal_numbers_of_all_topics_to_one_hand(world: MemoryWorld) -> None:
    """Runs in the order of the instances, whoever came first."""
    world.make_topics("features", partitions=4)
    late, early = range_member(world, "1"), range_member(world, "0")
    settle(lambda: len(late.owned()) == len(early.owned()) == 4, late, early)
    assert numbers(early) == {"events": {0, 1}, "features": {0, 1}}
    assert numbers(late) == {"events": {2, 3}, "features": {2, 3}}


def test_an_eager_rebalance_takes_everything_from_everybody_until_all_have_joined_again(world: MemoryWorld) -> None:
    """Who has joined waits for who has not; commits of the old generation pass until the new one exists."""
    world.make_topics("features", partitions=4)
    first, second = range_member(world), range_member(world)
    settle(lambda: len(first.owned()) == len(second.owned()) == 4, first, second)
    owned, membership = min(first.owned()), first.membership()
    third = range_member(world)
    collect(first)
    assert first.owned() == frozenset()
    opened(world.bus).commit(Transaction(offsets={owned: Committed(1)}, membership=membership))
    collect(third)
    assert third.owned() == frozenset(), "the second has not joined again"
    world.cluster.expire(second.member)
    with pytest.raises(RefusedError, match="ILLEGAL_GENERATION"):
        opened(world.bus).commit(Transaction(offsets={owned: Committed(2)}, membership=membership))
    settle(lambda: len(first.owned()) == len(third.owned()) == 4, first, third)


def test_a_fixed_slot_that_dies_in_an_eager_rebalance_gets_its_share_of_the_newest_assignment(
    world: MemoryWorld,
) -> None:
    """No partition waits: the rebalance ends with the successor in it, and a later restart moves nothing."""
    world.make_topics("features", partitions=4)
    first, second = range_member(world, "0"), range_member(world, "1")
    settle(lambda: len(first.owned()) == len(second.owned()) == 4, first, second)
    third = range_member(world, "2")
    collect(first)  # gives up, joins again, and dies
    successor = range_member(world, "0")
    settle(lambda: sum(len(m.owned()) for m in (successor, second, third)) == 8, successor, second, third)
    generation = successor.membership().generation
    restarted = range_member(world, "0")
    collect(restarted)
    assert restarted.owned() == successor.owned()
    assert restarted.membership().generation == generation


def test_a_fixed_slot_that_dies_in_a_cooperative_rebalance_leaves_partitions_to_nobody(world: MemoryWorld) -> None:
    """Kafka's gap, which is why fixed slots divide by range: what the dead one was to give up waits for a rebalance."""
    first = joined(world, "0")
    settle(lambda: first.owned() == PLACES, first)
    second = joined(world, "1")
    collect(second)
    restarted = joined(world, "0")  # the first was told to give two up, and died before it joined again
    for _ in range(3):
        collect(second)
        collect(restarted)
    assert len(restarted.owned() | second.owned()) == 2
    third = joined(world, "2")
    settle(lambda: restarted.owned() | second.owned() | third.owned() == PLACES, restarted, second, third)


def test_a_group_divides_in_one_way(world: MemoryWorld) -> None:
    """Two assignors in one group are a mistake, and are told so."""
    joined(world)
    with pytest.raises(ValueError, match="so must"):
        world.bus.consumer("inference", ["events"], None, "range")


@given(
    before=st.dictionaries(
        st.text("abcdef", min_size=1, max_size=2), st.sets(st.integers(0, 9), max_size=10), min_size=1, max_size=5
    ),
    count=st.integers(0, 10),
)
def test_the_assignment_is_complete_balanced_and_sticky(before: dict[str, set[int]], count: int) -> None:
    """Every partition has one owner, shares differ by one at most, and nobody loses one while below their share."""
    taken: set[int] = set()
    previous: dict[str, set[At]] = {}
    for name, numbers in before.items():
        previous[name] = {At("t", number) for number in numbers - taken}
        taken |= numbers
    partitions = [At("t", number) for number in range(count)]
    assigned = sticky_assignment(previous, partitions)
    assert sorted(at for share in assigned.values() for at in share) == partitions
    sizes = [len(share) for share in assigned.values()]
    assert max(sizes) - min(sizes) <= 1
    for name, share in assigned.items():
        kept = previous[name] & set(partitions)
        assert share <= kept or kept <= share
    assert assigned == sticky_assignment(assigned, partitions)
