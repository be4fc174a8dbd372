"""Where a partition starts whose offset was lost: behind the last thing that we answered, and nowhere else."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from freshet.avro import Encoder, Ragged, Strings
from freshet.avro.control import encode
from freshet.avro.own_schemas import current_schema, schema_id
from freshet.contracts.batch import Batch
from freshet.contracts.logic import DeadLetter
from freshet.contracts.messages import Cutover
from freshet.contracts.topic_id import UNKNOWN_BYTES, to_bytes
from freshet.ingestion.service import SERVICE as INGESTION
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster, Step
from freshet.runtime.bus.memory.memory_reader import MemoryLogReader
from freshet.runtime.bus.protocol import Committed, FatalError, Place, RefusedError, Send, Span, Transaction
from freshet.runtime.dead_letter_records import dead_letters
from freshet.runtime.recovery import STEP_ROWS, InputReference, Recovery
from freshet.runtime.start_offsets import checked
from support.loops import NAMES, REFERENCE, predictions
from support.rows import batch, row

HERE = Place("features", 0)
WHOLE = Span(0, 100, 100)


@pytest.fixture
def bus() -> MemoryBus:
    """A pipeline of two partitions."""
    cluster = MemoryCluster()
    cluster.ensure(NAMES, 2)
    return MemoryBus(cluster, NAMES)


def recover(bus: MemoryBus, references: Sequence[InputReference], place: Place) -> Committed | None:
    """What one partition's search finds."""
    search = Recovery(bus, references, NAMES.pipeline, [place], {place.role: bus.topic_id(place.role)})
    while not search.step():
        pass
    return search.found(place)


def answer(bus: MemoryBus, *places: tuple[int, int]) -> None:
    """Predictions for the feature vectors at these (partition, offset)."""
    partitions, offsets = zip(*places, strict=True)
    values = predictions(list(partitions), list(offsets))
    bus.producer().send(Send("predictions", [b"k"] * len(values), values, list(partitions)))


def set_aside(bus: MemoryBus, partition: int, offset: int, topic_id: str | None = None) -> None:
    """A dead letter for the feature vector there; '' as older releases, and strangers, write them."""
    effect, here = DeadLetter(np.array([0]), "input_range", ["no"]), bus.topic_id("features")
    letter = dead_letters(
        batch([row(partition, offset)]),
        effect,
        NAMES,
        "inference",
        "1",
        topic_id=here if topic_id is None else topic_id,
    )
    bus.producer().send(letter)


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
    assert recover(bus, [REFERENCE], HERE) is None
    assert checked(HERE, None, None, Span(7, 100, 100), "e=0 f=0") == Committed(7, "e=0 f=0")


def test_the_tail_of_the_answers_tells_position_and_history(bus: MemoryBus) -> None:
    """The largest offset answered counts, wherever in the topic it stands, and only of this partition."""
    answer(bus, (0, 5), (0, 9), (0, 7))
    answer(bus, (1, 50))
    assert recover(bus, [REFERENCE], HERE) == Committed(10, "e=1 f=0")
    assert recover(bus, [REFERENCE], Place("features", 1)) == Committed(51, "e=1 f=0")


def test_a_dead_letter_is_an_answer_too(bus: MemoryBus) -> None:
    """Its offset moves the start on; it says nothing of history, so the last answer's position stays."""
    answer(bus, (0, 9))
    set_aside(bus, 0, 12)
    set_aside(bus, 1, 40)
    assert recover(bus, [REFERENCE], HERE) == Committed(13, "e=1 f=0")


def test_dead_letters_alone_are_enough(bus: MemoryBus) -> None:
    """All that was read was bad: start behind it, at the origin of history."""
    set_aside(bus, 0, 3)
    recovered = recover(bus, [REFERENCE], HERE)
    assert recovered == Committed(4)
    assert checked(HERE, None, recovered, WHOLE, "e=0 f=0") == Committed(4, "e=0 f=0")


def test_a_letter_that_names_no_topic_counts_up_to_the_end(bus: MemoryBus) -> None:
    """An older release wrote it. What names a record that never was is a stranger's, however large the number."""
    bus.producer().send(Send("features", [b"k"] * 5, [b"v"] * 5, [0] * 5))
    answer(bus, (0, 2))
    for offset in (3, 4, 5, 10**30):
        set_aside(bus, 0, offset, "")
    assert recover(bus, [REFERENCE], HERE) == Committed(5, "e=1 f=0")


def test_each_reference_of_ingestion_finds_its_own_input(bus: MemoryBus) -> None:
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
    assert recover(bus, INGESTION.references, Place("events", 0)) == Committed(31)
    assert recover(bus, INGESTION.references, Place("feedback", 0)) == Committed(81)
    assert recover(bus, INGESTION.references, Place("events", 1)) is None


def test_offsets_that_were_kept_are_believed_where_answers_do_not_contradict() -> None:
    """Answers may be gone with their retention; what they say of history is added where the offset says nothing."""
    assert checked(HERE, Committed(20, "e=1 f=0"), None, WHOLE, "e=0 f=0") == Committed(20, "e=1 f=0")
    assert checked(HERE, Committed(0), None, WHOLE, "e=0 f=0") == Committed(0, "e=0 f=0")
    assert checked(HERE, Committed(10), Committed(10, "e=2 f=0"), WHOLE, "e=0 f=0") == Committed(10, "e=2 f=0")


def test_a_reset_above_our_answers_is_not_followed() -> None:
    """What lies between is answered first."""
    assert checked(HERE, Committed(20), Committed(10, "e=2 f=0"), WHOLE, "e=0 f=0") == Committed(10, "e=2 f=0")


def test_what_retention_took_is_not_skipped_unseen() -> None:
    """The answers end below what the topic still holds: the start is there, for the broker to call it expired."""
    assert checked(HERE, None, Committed(10, "e=2 f=0"), Span(40, 100, 100), "") == Committed(10, "e=2 f=0")


def test_a_reset_beyond_what_nobody_answered_is_refused() -> None:
    """Going on would leave records without an answer; the sentence says how to answer them and how not to."""
    with pytest.raises(FatalError, match=r"reset to 20, but .* wait 30 s until .* to 7, .*kafka-delete-records"):
        checked(HERE, Committed(20), None, Span(7, 100, 100), "")


def test_a_reset_below_our_answers_is_refused() -> None:
    """Going on would answer twice; the sentence says which offset to set."""
    with pytest.raises(FatalError, match=r"reset to 3, but is answered up to 10.* wait 30 s .* to 10, "):
        checked(HERE, Committed(3), Committed(10, "e=1 f=0"), WHOLE, "e=0 f=0")


def test_a_reset_beyond_the_end_is_told_as_what_it_is() -> None:
    """The log has lost nothing: the sentence names the offset, the end, and which offset to set."""
    with pytest.raises(FatalError, match=r"features/0: .* offset 500 lies beyond .* end .* 100.* wait 30 s .* to 0, "):
        checked(HERE, Committed(500), None, WHOLE, "e=0 f=0")
    with pytest.raises(FatalError, match=r"features/0: .* offset 500 lies beyond .* end of the topic, 100.* to 10, "):
        checked(HERE, Committed(500), Committed(10, "e=1 f=0"), WHOLE, "e=0 f=0")


def test_a_log_that_lost_its_end_is_refused() -> None:
    """New records would take numbers that are answered already."""
    with pytest.raises(FatalError, match="lost its end"):
        checked(HERE, None, Committed(500, "e=1 f=0"), WHOLE, "e=0 f=0")


class _Counting(MemoryBus):
    """Counts the records that its readers give."""

    def __init__(self, cluster: MemoryCluster) -> None:
        super().__init__(cluster, NAMES)
        self.rows = 0

    def reader(self, roles: Sequence[str], starts: Mapping[Place, int] | None = None) -> MemoryLogReader:
        """One that counts."""
        made = super().reader(roles, starts)
        plainly = made.read

        def read(limit: int, timeout_s: float) -> list[Batch]:
            found = plainly(limit, timeout_s)
            self.rows += sum(map(len, found))
            return found

        made.read = read  # type: ignore[method-assign]
        return made


def written_over_days(partitions: int, hours: int, rows_an_hour: int) -> _Counting:
    """Feature vectors and their predictions, some each hour."""
    cluster = MemoryCluster()
    cluster.ensure(NAMES, partitions)
    bus = _Counting(cluster)
    for hour in range(hours):
        for partition in range(partitions):
            at = list(range(hour * rows_an_hour, (hour + 1) * rows_an_hour))
            bus.producer().send(Send("features", [b"k"] * len(at), [b"v"] * len(at), [partition] * len(at)))
            answer(bus, *((partition, offset) for offset in at))
        cluster.advance(3_600_000)
    return bus


@pytest.mark.slow
def test_a_long_retained_log_is_read_from_its_tail_once_for_all_partitions() -> None:
    """30,000 predictions over days, 6 partitions: some hundreds are read, and never more than a step allows."""
    bus = written_over_days(partitions=6, hours=100, rows_an_hour=50)
    places = [Place("features", partition) for partition in range(6)]
    search = Recovery(bus, [REFERENCE], NAMES.pipeline, places, {"features": bus.topic_id("features")})
    done, steps = False, []
    while not done:
        before = bus.rows
        done = search.step()
        steps.append(bus.rows - before)
    assert [search.found(place) for place in places] == [Committed(5_000, "e=1 f=0")] * 6
    assert max(steps) <= 2 * STEP_ROWS
    assert bus.rows <= 6 * (100 + 50), "the last hundred of each partition tell the time, the last minutes the place"


def test_a_partition_that_was_quiet_for_long_is_found_far_back() -> None:
    """The search widens until the input itself holds nothing older."""
    bus = written_over_days(partitions=2, hours=200, rows_an_hour=5)
    for _ in range(100):
        bus.cluster.advance(3_600_000)
        bus.producer().send(Send("features", [b"k"], [b"v"], [1]))
        answer(bus, (1, bus.spans("features")[1].end - 1))
    assert recover(bus, [REFERENCE], HERE) == Committed(1_000, "e=1 f=0")


def test_a_search_yields_to_the_loop_after_so_many_rows() -> None:
    """However much lies in the last minutes: a member that does not poll is thrown out."""
    bus = written_over_days(partitions=1, hours=1, rows_an_hour=4 * STEP_ROWS)
    search = Recovery(bus, [REFERENCE], NAMES.pipeline, [HERE], {"features": bus.topic_id("features")})
    steps = 0
    while not search.step():
        steps += 1
    assert steps >= 4
    assert search.found(HERE) == Committed(4 * STEP_ROWS, "e=1 f=0")


def test_cut_overs_tell_a_position_that_no_prediction_shows(bus: MemoryBus) -> None:
    """Only those of this pipeline, lane, partition and life of the topic."""
    answer(bus, (0, 9))
    set_aside(bus, 0, 12)
    here = bus.topic_id("features")
    cut = Cutover(
        pipeline="p", lane="serve", topic_id=here, partition=0, first_offset=10, epoch=2, fallback=1, cause="quarantine"
    )
    for number, other in enumerate(
        (
            cut,
            cut.model_copy(update={"epoch": 7, "pipeline": "q"}),
            cut.model_copy(update={"epoch": 7, "lane": "shadow:1"}),
            cut.model_copy(update={"epoch": 7, "topic_id": "A" * 22}),
            cut.model_copy(update={"epoch": 7, "partition": 1}),
        )
    ):
        bus.producer().send(Send("cutovers", [b"%d" % number], [encode(other)]))
    bus.producer().send(Send("cutovers", [b"x"], [b"a stranger's"]))
    assert recover(bus, [REFERENCE], HERE) == Committed(13, "e=2 f=1")


def test_answers_to_another_life_do_not_count(bus: MemoryBus) -> None:
    """Those that do not say whose they are do: an older release wrote them."""
    for topic_id, offset in ((bytes(15) + b"\x7f", 50), (to_bytes(bus.topic_id("features")), 20), (UNKNOWN_BYTES, 9)):
        bus.producer().send(Send("predictions", [b"k"], predictions([0], [offset], topic_id), [0]))
        expected = {50: None, 20: 21, 9: 21}[offset]
        found = recover(bus, [REFERENCE], HERE)
        assert (found.offset if found else None) == expected


@pytest.mark.timeout(20)
def test_a_search_ends_where_the_first_records_of_a_log_were_aborted(bus: MemoryBus) -> None:
    """Offsets by time never name them, so the log's low is never reached: time is what ends the search."""
    aborted_first(bus, "predictions")
    aborted_first(bus, "features")
    bus.producer().send(Send("features", [b"k"], [b"v"], [0]))
    set_aside(bus, 1, 0)
    assert recover(bus, [REFERENCE], HERE) is None


def aborted_first(bus: MemoryBus, role: str) -> None:
    """A transaction of one record on partition 0 that never became visible."""
    producer = bus.transactional_producer("inference", role)
    producer.open()

    def abort(step: Step, _transactional_id: str) -> None:
        if step == "produced":
            raise RefusedError("no")

    bus.cluster.failpoint = abort
    with pytest.raises(RefusedError):
        producer.commit(Transaction([Send(role, [b"k"], [b"v"], [0])]))
    bus.cluster.failpoint = None
