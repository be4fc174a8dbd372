"""What every bus must do alike with the `range` assignor of fixed slots: partitions that belong together stay so."""

import pytest

from freshet.runtime.bus.protocol import Assignor, GroupConsumer, Place
from support.buses import BusWorld, collect, gather, member, settle, until, write

PLACES = frozenset(Place("events", partition) for partition in range(4))


def slot(bus_world: BusWorld, name: str, *roles: str) -> GroupConsumer:
    """A member in a fixed slot."""
    return member(bus_world.bus, *roles, instance=name, assignor="range")


def offsets(consumer: GroupConsumer, count: int) -> list[tuple[int, int]]:
    """(partition, offset) of the next records."""
    return sorted((place.partition, offset) for place, offset, _ in gather(consumer, count))


def test_partition_n_of_all_topics_lies_with_one_member(bus_world: BusWorld) -> None:
    """Three members read two topics of six partitions: whoever has events/n has feedback/n."""
    bus_world.make_topics("events", "feedback", partitions=6)
    members = [slot(bus_world, name, "events", "feedback") for name in "012"]
    settle(lambda: all(len(one.owned()) == 4 for one in members), *members)
    for one in members:
        events, feedback = ({p for r, p in one.owned() if r == role} for role in ("events", "feedback"))
        assert events == feedback
    assert len(frozenset[Place]().union(*(one.owned() for one in members))) == 12


def test_a_rebalance_takes_everything_and_gives_it_anew(bus_world: BusWorld) -> None:
    """Changes say that all was lost, then what was gained; nothing flows before it is started."""
    bus_world.make_topics("events", partitions=4)
    first = slot(bus_world, "0", "events")
    settle(lambda: first.owned() == PLACES, first)
    assert set(first.take_changes().assigned) == PLACES
    for place in PLACES:
        first.start(place, 0)
    second = slot(bus_world, "1", "events")
    settle(lambda: len(first.owned()) == len(second.owned()) == 2, first, second)
    changes = first.take_changes()
    assert set(changes.revoked) == PLACES
    assert set(changes.assigned) == first.owned()
    assert first.owned() | second.owned() == PLACES
    for place in PLACES:
        write(bus_world.bus, "events", b"row", partition=place.partition)
    assert collect(first) is None
    assert collect(second) is None
    for place in first.owned():
        first.start(place, 0)
    assert {place for place, _, _ in gather(first, 2)} == first.owned()


def test_a_start_leaves_the_others_where_they_are(bus_world: BusWorld) -> None:
    """A partition that is started later, paused or started again costs the others no record and repeats none."""
    bus_world.make_topics("events", partitions=4)
    one = slot(bus_world, "0", "events")
    settle(lambda: one.owned() == PLACES, one)
    for partition in range(3):
        write(bus_world.bus, "events", b"a", b"b", b"c", partition=partition)
    one.start(Place("events", 0), 1)
    assert offsets(one, 2) == [(0, 1), (0, 2)]
    one.start(Place("events", 1), 0)
    write(bus_world.bus, "events", b"d", partition=0)
    assert offsets(one, 4) == [(0, 3), (1, 0), (1, 1), (1, 2)]
    one.pause(Place("events", 1))
    one.start(Place("events", 2), 2)
    one.start(Place("events", 0), 2)
    write(bus_world.bus, "events", b"d", partition=1)
    assert offsets(one, 3) == [(0, 2), (0, 3), (2, 2)]
    assert collect(one) is None
    one.start(Place("events", 1), 3)
    assert offsets(one, 1) == [(1, 3)]


@pytest.mark.parametrize("assignor", ["range", "cooperative-sticky"])
def test_a_partition_that_was_paused_and_started_flows_again(bus_world: BusWorld, assignor: Assignor) -> None:
    """However often, and however quickly one follows the other: none of 24 stays silent in any of 40 rounds."""
    bus_world.make_topics("events", partitions=24)
    places = [Place("events", partition) for partition in range(24)]
    for place in places:
        write(bus_world.bus, "events", b"row", partition=place.partition)
    one = member(bus_world.bus, "events", instance="0" if assignor == "range" else None, assignor=assignor)
    settle(lambda: one.owned() == set(places), one)
    for _ in range(40):
        for place in places:
            one.pause(place)
        one.collect(100, 1 << 20, 0.0)
        for place in places:
            one.start(place, 0)
        assert offsets(one, 24) == [(place.partition, 0) for place in places]


@pytest.mark.parametrize("assignor", ["range", "cooperative-sticky"])
def test_a_started_partition_flows_at_once(bus_world: BusWorld, assignor: str) -> None:
    """One start and one wait: nobody has to poll again to wake a partition."""
    bus_world.make_topics("events", partitions=4)
    write(bus_world.bus, "events", b"a")
    one = member(bus_world.bus, "events", instance="0", assignor=assignor)  # type: ignore[arg-type]
    settle(lambda: one.owned() == PLACES, one)
    one.start(Place("events", 0), 0)
    collected = until(lambda: one.collect(10, 2**20, 1.0))
    assert len(collected.batches[0]) == 1
