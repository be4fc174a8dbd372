"""The bridge as a member of its group, on the bus in memory."""

from pathlib import Path
from typing import Final

import pytest

from freshet.avro.control import encode
from freshet.contracts.messages import Decision
from freshet.contracts.topic_table import TopicNames
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import FatalError, Place, Send
from freshet.runtime.settings import SettingsError
from freshet.webhook.place_note import PlaceNote
from freshet.webhook.topic_line import TopicLine
from freshet.webhook.topic_reading import TopicReading

NAMES: Final = TopicNames("dev.", "main")
DECISIONS: Final = Place("decisions", 0)


class World:
    """A cluster, and bridges that come and go."""

    def __init__(self, folder: Path) -> None:
        self.letters = folder / "letters.jsonl"
        self.began_at_end: list[str] = []
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
        made = self.joined(wanted)
        turn(made)
        return made

    def joined(self, wanted: str = "") -> TopicReading:
        """One that has not read yet."""
        note, wanted_ones = PlaceNote(self.letters, "main"), frozenset({wanted} - {""})
        told = self.began_at_end.append
        return TopicReading(self.bus, NAMES, ("decisions",), wanted_ones, note, began_at_end=told, slot="0", fixed=True)


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


def test_what_was_not_committed_is_read_again(tmp_path: Path) -> None:
    """The first start is at the end; the next one where the last commit was."""
    world = World(tmp_path)
    world.decide("old")
    first = world.reading()
    world.decide("a", "b", "c")
    line = turn(first)
    line.done()
    first.commit(line)
    first.close()
    again = world.reading()
    assert finish(again, turn(again)) == [2, 3]


def test_records_that_nobody_wants_are_passed_over_and_committed(tmp_path: Path) -> None:
    """Else they would be read again at each start."""
    world = World(tmp_path)
    reading = world.reading("loans")
    world.decide("a", "b", pipeline="weather")
    line = turn(reading)
    assert (line.first, line.committed, line.position) == (None, 0, 2)
    reading.commit(line)
    world.decide("c")
    assert finish(reading, turn(reading)) == [2]


def test_a_partition_rests_while_records_of_it_wait(tmp_path: Path) -> None:
    """So that a receiver that is away for long does not fill the memory."""
    world = World(tmp_path)
    reading = world.reading()
    world.decide("a")
    turn(reading)
    world.decide("b", "c")
    line = turn(reading)
    assert finish(reading, line) == [0]
    assert finish(reading, turn(reading)) == [1, 2]


@pytest.mark.parametrize("skip", [False, True])
def test_records_that_expired_unsent_stop_it_unless_they_may_be_skipped(tmp_path: Path, skip: bool) -> None:
    """Nothing is passed over in silence."""
    world = World(tmp_path)
    world.reading().close()
    world.decide("a", "b", "c")
    world.cluster.truncate(NAMES.topic("decisions"), 0, 2)
    late = world.joined()
    if skip:
        assert finish(late, turn(late, skip_expired=True)) == [2]
    else:
        with pytest.raises(FatalError, match="on-expired skip"):
            turn(late)


def test_a_batch_that_a_rebalance_interrupts_is_read_again(tmp_path: Path) -> None:
    """What it held is neither lost nor sent twice."""
    world = World(tmp_path)
    reading = world.reading()
    world.decide("a", "b", "c")
    world.cluster.rebalance_during_next_collect(reading._group.member)  # type: ignore[attr-defined]
    assert finish(reading, turn(reading)) == [0, 1, 2]


def test_offsets_that_expired_are_found_in_the_note(tmp_path: Path) -> None:
    """Kafka forgets them when a bridge is away for days; what was written meanwhile is sent all the same."""
    world = World(tmp_path)
    world.reading().close()
    world.decide("a", "b", "c")
    reading = world.joined()
    line = turn(reading)
    line.done()
    reading.commit(line)
    reading.close()
    world.cluster.group(NAMES.group("webhook")).lose_offsets()
    again = world.joined()
    assert finish(again, turn(again)) == [1, 2]
    assert world.began_at_end == ["decisions"]  # at the very first start alone


def test_without_offsets_and_note_it_says_that_it_begins_at_the_end(tmp_path: Path) -> None:
    """What was written before is not sent, so somebody must hear of it; so too of another life of a topic."""
    world = World(tmp_path)
    world.reading().close()
    world.decide("a")
    world.cluster.group(NAMES.group("webhook")).lose_offsets()
    world.letters.with_name("letters.jsonl.main.places").unlink()
    again = world.joined()
    assert finish(again, turn(again)) == []
    assert world.began_at_end == ["decisions"] * 2


def test_a_note_that_cannot_be_read_stops_it(tmp_path: Path) -> None:
    """Guessing would leave something out."""
    (tmp_path / "letters.jsonl.main.places").write_text("[")
    with pytest.raises(SettingsError, match="how far the bridge was"):
        World(tmp_path).joined()
