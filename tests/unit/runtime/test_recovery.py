"""Where a partition starts whose offset was lost: behind the last thing that we answered, and nowhere else."""

import numpy as np
import pytest

from freshet.contracts.codec import Encoder, Ragged, Strings
from freshet.contracts.logic import DeadLetter
from freshet.contracts.schemas import current_schema, schema_id
from freshet.contracts.topic_id import UNKNOWN_BYTES
from freshet.ingestion.service import SERVICE as INGESTION
from freshet.runtime.bus import Committed, FatalError, Place, Send, Span
from freshet.runtime.dead_letters import dead_letters
from freshet.runtime.memory import MemoryBus, MemoryCluster
from freshet.runtime.recovery import checked, recover
from support.loops import NAMES, TRACE, predictions
from support.rows import batch, row

HERE = Place("features", 0)
WHOLE = Span(0, 100, 100)


@pytest.fixture
def bus() -> MemoryBus:
    """A pipeline of two partitions."""
    cluster = MemoryCluster()
    cluster.ensure(NAMES, 2)
    return MemoryBus(cluster, NAMES)


def answer(bus: MemoryBus, *places: tuple[int, int]) -> None:
    """Predictions for the feature vectors at these (partition, offset)."""
    partitions, offsets = zip(*places, strict=True)
    values = predictions(list(partitions), list(offsets))
    bus.producer().send(Send("predictions", [b"k"] * len(values), values, list(partitions)))


def set_aside(bus: MemoryBus, partition: int, offset: int) -> None:
    """A dead letter for the feature vector there."""
    effect = DeadLetter(np.array([0]), "input_range", ["no"])
    bus.producer().send(dead_letters(batch([row(partition, offset)]), effect, NAMES, "inference", "1"))


def columns_of_a_feature_vector(partition: int, offset: int) -> bytes:
    """A feature vector made of the event there."""
    text = Strings.from_list(["x"])
    return Encoder(current_schema("FeatureVector"), schema_id("FeatureVector")).encode(
        {
            "event_id": text,
            "entity": text,
            "event_time": np.array([1]),
            "spec_version": np.array([1], np.int32),
            "values": Ragged.from_matrix(np.zeros((1, 2), np.float32)),
            "source_partition": np.array([partition], np.int32),
            "source_offset": np.array([offset]),
            "source_topic": Strings.repeat(UNKNOWN_BYTES, 1),
        }
    )[0]


def test_nothing_was_ever_answered(bus: MemoryBus) -> None:
    """A first start begins at the start, at the origin of history."""
    assert recover(bus, [TRACE], HERE) is None
    assert checked(HERE, None, None, Span(7, 100, 100), "e=0 f=0") == Committed(7, "e=0 f=0")


def test_the_tail_of_the_answers_tells_position_and_history(bus: MemoryBus) -> None:
    """The largest offset answered counts, wherever in the topic it stands, and only of this partition."""
    answer(bus, (0, 5), (0, 9), (0, 7))
    answer(bus, (1, 50))
    assert recover(bus, [TRACE], HERE) == Committed(10, "e=1 f=0")
    assert recover(bus, [TRACE], Place("features", 1)) == Committed(51, "e=1 f=0")


def test_a_dead_letter_is_an_answer_too(bus: MemoryBus) -> None:
    """Its offset moves the start on; it says nothing of history, so the last answer's position stays."""
    answer(bus, (0, 9))
    set_aside(bus, 0, 12)
    set_aside(bus, 1, 40)
    assert recover(bus, [TRACE], HERE) == Committed(13, "e=1 f=0")


def test_dead_letters_alone_are_enough(bus: MemoryBus) -> None:
    """All that was read was bad: start behind it, at the origin of history."""
    set_aside(bus, 0, 3)
    recovered = recover(bus, [TRACE], HERE)
    assert recovered == Committed(4)
    assert checked(HERE, None, recovered, WHOLE, "e=0 f=0") == Committed(4, "e=0 f=0")


def test_each_trace_of_ingestion_finds_its_own_input(bus: MemoryBus) -> None:
    """Feature vectors name events, labels name feedback: the one must not be taken for the other."""
    bus.producer().send(Send("features", [b"k"], [columns_of_a_feature_vector(0, 30)], [1]))
    label = Encoder(current_schema("Label"), schema_id("Label")).encode(
        {
            "event_id": Strings.from_list(["x"]),
            "entity": Strings.from_list(["x"]),
            "label": Strings.from_list(["x"]),
            "labelled_at": np.array([1]),
            "revision": np.array([0], np.int32),
            "source_partition": np.array([0], np.int32),
            "source_offset": np.array([80]),
            "source_topic": Strings.repeat(UNKNOWN_BYTES, 1),
        }
    )
    bus.producer().send(Send("labels", [b"k"], label, [1]))
    assert recover(bus, INGESTION.traces, Place("events", 0)) == Committed(31)
    assert recover(bus, INGESTION.traces, Place("feedback", 0)) == Committed(81)
    assert recover(bus, INGESTION.traces, Place("events", 1)) is None


def test_offsets_that_were_kept_are_believed_where_answers_do_not_contradict() -> None:
    """Answers may be gone with their retention; what they say of history is added where the offset says nothing."""
    assert checked(HERE, Committed(20), None, WHOLE, "e=0 f=0") == Committed(20, "e=0 f=0")
    assert checked(HERE, Committed(10), Committed(10, "e=2 f=0"), WHOLE, "e=0 f=0") == Committed(10, "e=2 f=0")


def test_what_retention_took_is_not_looked_for() -> None:
    """The answers end below what the topic still holds: start at what is left."""
    assert checked(HERE, None, Committed(10, "e=2 f=0"), Span(40, 100, 100), "") == Committed(40, "e=2 f=0")


def test_a_reset_below_our_answers_is_refused() -> None:
    """Going on would answer twice; the sentence says which offset to set."""
    with pytest.raises(FatalError, match="reset to 3, but is answered up to 10"):
        checked(HERE, Committed(3), Committed(10, "e=1 f=0"), WHOLE, "e=0 f=0")


def test_a_topic_made_anew_under_old_answers_is_refused() -> None:
    """Its offsets start over: they would be taken for answered, and be skipped unseen."""
    with pytest.raises(FatalError, match="made anew"):
        checked(HERE, None, Committed(500, "e=1 f=0"), WHOLE, "e=0 f=0")
