"""The bridge as a member of its group, on the bus in memory."""

from typing import Final

import pytest

from freshet.avro.control import encode
from freshet.contracts.messages import Decision
from freshet.contracts.topics import TopicNames
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import FatalError, Place, Send
from freshet.webhook.topic_line import TopicLine
from freshet.webhook.topic_reading import TopicReading

NAMES: Final = TopicNames("dev.", "main")
DECISIONS: Final = Place("decisions", 0)


class World:
    """A cluster, and bridges that come and go."""

    def __init__(self) -> None:
        self.cluster = MemoryCluster()
        self.cluster.ensure(NAMES, 1)
        self.bus = MemoryBus(self.cluster, NAMES)

    def decide(self, *subjects: str, pipeline: str = "loans") -> None:
        """Write a decision about each."""
        values = [
            encode(Decision(pipeline=pipeline, about="command", subject=subject, verdict="done", reason="Because."))
            for subject in subjects
        ]
        self.bus.producer().send(Send("decisions", [None] * len(values), values))

    def reading(self, wanted: str = "") -> TopicReading:
        """A bridge that has begun to read."""
        made = TopicReading(self.bus, NAMES, ("decisions",), frozenset({wanted} - {""}), slot="0", fixed=True)
        turn(made)
        return made


def turn(reading: TopicReading, *, skip_expired: bool = False) -> TopicLine:
    """Let it read for a while; the line of the decisions."""
    for _ in range(4):
        reading.read(0.0, skip_expired=skip_expired)
        reading.place()
    return reading.lines[DECISIONS]


def finish(reading: TopicReading, line: TopicLine) -> list[int]:
    """Everything in line is taken, one after the other; their offsets."""
    taken = []
    while (first := line.first) is not None:
        taken.append(first.source.offset)
        line.done()
        reading.commit(line)
    return taken


def test_what_was_not_committed_is_read_again() -> None:
    """The first start is at the end; the next one where the last commit was."""
    world = World()
    world.decide("old")
    first = world.reading()
    world.decide("a", "b", "c")
    line = turn(first)
    line.done()
    first.commit(line)
    first.close()
    again = world.reading()
    assert finish(again, turn(again)) == [2, 3]


def test_records_that_nobody_wants_are_passed_over_and_committed() -> None:
    """Else they would be read again at each start."""
    world = World()
    reading = world.reading("loans")
    world.decide("a", "b", pipeline="weather")
    line = turn(reading)
    assert (line.first, line.committed, line.position) == (None, 0, 2)
    reading.commit(line)
    world.decide("c")
    assert finish(reading, turn(reading)) == [2]


def test_a_partition_rests_while_records_of_it_wait() -> None:
    """So that a receiver that is away for long does not fill the memory."""
    world = World()
    reading = world.reading()
    world.decide("a")
    turn(reading)
    world.decide("b", "c")
    line = turn(reading)
    assert finish(reading, line) == [0]
    assert finish(reading, turn(reading)) == [1, 2]


@pytest.mark.parametrize("skip", [False, True])
def test_records_that_expired_unsent_stop_it_unless_they_may_be_skipped(skip: bool) -> None:
    """Nothing is passed over in silence."""
    world = World()
    world.reading().close()
    world.decide("a", "b", "c")
    world.cluster.truncate(NAMES.topic("decisions"), 0, 2)
    late = TopicReading(world.bus, NAMES, ("decisions",), frozenset(), slot="0", fixed=True)
    if skip:
        assert finish(late, turn(late, skip_expired=True)) == [2]
    else:
        with pytest.raises(FatalError, match="on-expired skip"):
            turn(late)


def test_a_batch_that_a_rebalance_interrupts_is_read_again() -> None:
    """What it held is neither lost nor sent twice."""
    world = World()
    reading = world.reading()
    world.decide("a", "b", "c")
    world.cluster.rebalance_during_next_collect(reading._group.member)  # type: ignore[attr-defined]
    assert finish(reading, turn(reading)) == [0, 1, 2]
