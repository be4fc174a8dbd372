"""Topics that change under a pipeline: made anew, grown, emptied, cut short. It goes on rightly, or says why not."""

from collections.abc import Iterable

import numpy as np
import pytest
from structlog.testing import capture_logs

from freshet.avro import Strings
from freshet.avro.framed import FramedReader
from freshet.contracts.batch import Batch
from freshet.contracts.logic import DeadLetter, Effect
from freshet.contracts.position import stamped
from freshet.contracts.topic_id import to_text
from freshet.runtime.bus.memory.partition_log import At, Payload
from freshet.runtime.bus.protocol import Committed, FatalError, Place, Send
from freshet.runtime.data_loop import DataLoop
from support.loops import NAMES, Answerer, Stand

TOPIC = NAMES.topic("features")


def lives(stand: Stand) -> list[tuple[str, int, int]]:
    """Topic id, partition and offset of everything answered, ascending."""
    found: list[tuple[str, int, int]] = []
    reader = FramedReader.of("Prediction", max_bytes=1 << 20)
    for batch in stand.bus.reader(["predictions"]).read(10_000, 0.0):
        columns = reader.read(batch.values).columns
        topics = columns["features_topic"]
        assert isinstance(topics, Strings)
        places = (np.asarray(columns[name]).tolist() for name in ("features_partition", "features_offset"))
        found += zip(map(to_text, topics.tobytes()), *places, strict=True)
    return sorted(found)


def anew(stand: Stand, partitions: int = 2) -> None:
    """Delete the features topic, and make it again."""
    stand.cluster.delete_topic(TOPIC)
    stand.cluster.create_topic(TOPIC, partitions)


def stopped(stand: Stand, loop: DataLoop, match: str, times: int = 200) -> None:
    """The loop stops with such a sentence."""
    with pytest.raises(FatalError, match=match):
        stand.turn(loop, times=times)
    loop.close()


def offset_of(stand: Stand) -> Committed:
    """What the group has committed, as the broker has it."""
    found = stand.cluster.group(NAMES.group("inference")).committed(At(TOPIC, 0))
    assert found is not None
    return found


def set_offset(stand: Stand, offset: int, metadata: str = "") -> None:
    """What an operator's tool does to a stopped group."""
    group = stand.cluster.group(NAMES.group("inference"))
    group.commit(At(TOPIC, 0), Committed(offset, metadata))


@pytest.mark.parametrize("rows", [3, 5, 12])
def test_a_topic_made_anew_while_stopped_is_answered_from_its_beginning(rows: int) -> None:
    """Shorter, as long, or longer than what was answered of the old one: each row of both lives has one answer."""
    stand = Stand()
    stand.feed(5)
    loop = stand.loop(Answerer())
    stand.turn(loop)
    loop.close()
    old = stand.bus.topic_id("features")
    anew(stand)
    stand.feed(rows)
    stand.turn(stand.loop(Answerer()), times=30)
    new = stand.bus.topic_id("features")
    assert lives(stand) == sorted([(old, 0, row) for row in range(5)] + [(new, 0, row) for row in range(rows)])


def test_an_offset_of_an_earlier_life_is_void() -> None:
    """The group's offset outlived the topic (a commit after its deletion): the stamp tells."""
    stand = Stand()
    stand.feed(5)
    loop = stand.loop(Answerer())
    stand.turn(loop)
    old = offset_of(stand)
    loop.close()
    anew(stand)
    set_offset(stand, *old)
    stand.feed(12)
    stand.turn(stand.loop(Answerer()), times=30)
    assert [row[2] for row in lives(stand) if row[0] == stand.bus.topic_id("features")] == list(range(12))


def test_a_topic_made_anew_while_running_ends_the_process_before_a_row_is_answered_in_the_old_name() -> None:
    """The client reads on at the old position without a word; the next process answers all of the new topic."""
    stand = Stand()
    stand.feed(5)
    loop = stand.loop(Answerer())
    stand.turn(loop)
    old = stand.bus.topic_id("features")
    stand.cluster.topic(TOPIC).topic_id = "AAAAAAAAAAAAAAAAAAAANW"  # what a client sees that noticed nothing
    stand.feed(7)
    stopped(stand, loop, "made anew while it was read")
    assert lives(stand) == [(old, 0, row) for row in range(5)]


def test_an_idle_process_notices_a_topic_made_anew() -> None:
    """Without any record, within seconds."""
    stand = Stand()
    stand.feed(5)
    loop = stand.loop(Answerer())
    stand.turn(loop)
    stand.cluster.topic(TOPIC).topic_id = "AAAAAAAAAAAAAAAAAAAANW"
    stopped(stand, loop, "made anew while it was read")


def test_a_reset_without_a_stamp_is_judged_by_the_answers() -> None:
    """Back: refused, with the offset to set. Set as told, it goes on. Every logic, one without positions too."""
    stand = Stand()
    stand.feed(5)
    loop = stand.loop(_Plain())
    stand.turn(loop)
    loop.close()
    set_offset(stand, 0)
    stopped(stand, stand.loop(_Plain()), "reset to 0, but is answered up to 5")
    set_offset(stand, 5)
    stand.feed(2)
    stand.turn(stand.loop(_Plain()), times=30)
    assert stand.answers() == stand.inputs()


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize(
    ("offset", "refused"),
    [(0, "reset to 0, but is answered up to 5"), (7, ""), (500, "offset 500 lies beyond the end.* set .* to 5")],
)
def test_a_number_changed_beside_our_text_is_judged_by_the_answers(*, offset: int, refused: str, plain: bool) -> None:
    """A script reads the offset, changes the number and writes the text back: back, forth, or beyond the end."""
    stand, logic = Stand(), _Plain if plain else Answerer
    stand.feed(5)
    loop = stand.loop(logic())
    stand.turn(loop)
    loop.close()
    ours = offset_of(stand)
    set_offset(stand, offset, ours.metadata)
    stand.feed(5)
    if refused:
        stopped(stand, stand.loop(logic()), refused)
        set_offset(stand, *ours)
    stand.turn(stand.loop(logic()), times=30)
    assert stand.answers() == stand.inputs()


@pytest.mark.parametrize("metadata", ["copied", "a stranger's words"])
def test_a_number_set_beyond_unanswered_records_is_refused_whatever_the_text(metadata: str) -> None:
    """Nothing is answered yet, and our own text, or that of another program, stands beside the number."""
    stand = Stand()
    loop = stand.loop(Answerer())
    stand.turn(loop)
    loop.close()
    stamped_at_0 = stamped("e=0 f=0", stand.bus.topic_id("features"), 0)
    stand.feed(5)
    set_offset(stand, 3, stamped_at_0 if metadata == "copied" else metadata)
    stopped(stand, stand.loop(Answerer()), "reset to 3, but nothing that lies before it has an answer.* offset .* to 0")
    set_offset(stand, 0, stamped_at_0)
    stand.turn(stand.loop(Answerer()), times=30)
    assert stand.answers() == stand.inputs()


@pytest.mark.parametrize("text", ["e=1 f=0", "e=1 f=0 t={}", "e=1 f=0 st=0,1,0"])
def test_what_an_older_release_committed_is_gone_on_from(text: str) -> None:
    """It wrote no topic's id, or no offset into the stamp. What we commit next has both."""
    stand = Stand()
    stand.feed(5)
    loop = stand.loop(Answerer())
    stand.turn(loop)
    loop.close()
    set_offset(stand, 5, text.format(stand.bus.topic_id("features")))
    stand.feed(2)
    stand.turn(stand.loop(Answerer()), times=30)
    assert stand.answers() == stand.inputs()
    assert offset_of(stand) == Committed(7, stamped("e=1 f=0", stand.bus.topic_id("features"), 7))


def test_an_older_release_that_left_no_answers_is_believed() -> None:
    """Its text says a position, so it is no tool's: what its answers were has expired."""
    stand = Stand()
    stand.feed(5)
    set_offset(stand, 3, "e=1 f=0")
    stand.turn(stand.loop(Answerer()), times=30)
    assert stand.answers() == [(0, 3), (0, 4)]


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("answered", [0, 5])
def test_a_reset_beyond_the_end_is_refused_and_set_right_it_goes_on(*, answered: int, skip: bool) -> None:
    """Whatever `--on-expired` says. Set to the offset that the sentence names, each row has its one answer."""
    stand = Stand()
    stand.feed(answered)
    loop = stand.loop(_Plain(), skip_expired=skip)
    stand.turn(loop, times=30)
    loop.close()
    set_offset(stand, 500)
    stand.feed(2)
    stopped(stand, stand.loop(_Plain(), skip_expired=skip), f"offset 500 lies beyond the end.* set .* to {answered}")
    set_offset(stand, answered)
    stand.turn(stand.loop(_Plain(), skip_expired=skip), times=30)
    assert stand.answers() == stand.inputs()


@pytest.mark.parametrize("skip", [False, True])
def test_a_log_that_lost_its_end_stops_whatever_expiry_may_do(*, skip: bool) -> None:
    """Retained rows are answered already, and new ones would take their numbers."""
    stand = Stand()
    stand.feed(20)
    loop = stand.loop(Answerer(), skip_expired=skip)
    stand.turn(loop, times=30)
    log = stand.cluster.topic(TOPIC).log(0)
    log._keep([record for record in log._records if record.offset() < 15])
    log.high_watermark = 15
    stopped(stand, loop, "lost its end")
    assert len(stand.answers()) == 20
    assert stand.dead() == []


def test_an_emptied_topic_goes_on_at_its_end() -> None:
    """Deleted records that were answered are nobody's loss, with the group's offset and without."""
    stand = Stand()
    stand.feed(5)
    loop = stand.loop(Answerer())
    stand.turn(loop)
    stand.cluster.truncate(TOPIC, 0, 5)
    stand.feed(2)
    stand.turn(loop)
    loop.close()
    stand.cluster.truncate(TOPIC, 0, 7)
    stand.cluster._groups.clear()
    stand.turn(stand.loop(Answerer()))
    stand.feed(2)
    stand.turn(stand.loop(Answerer()), times=30)
    assert stand.answers() == [(0, row) for row in range(9)]


def test_a_grown_partition_waits_and_the_rest_flows() -> None:
    """Its rows are not read, so that none can fail to be set aside; once the outputs have grown, it flows."""
    stand = Stand()
    anew(stand, 3)
    loop = stand.loop(_Refuser())
    stand.turn(loop)
    stand.feed(5, 0)
    stand.feed(5, 2)
    stand.turn(loop, times=30)
    assert [(letter["freshet.partition"], letter["freshet.offset"]) for letter in stand.dead()] == [
        ("0", str(row)) for row in range(5)
    ]
    assert loop.unready() is not None
    assert "features/2 waits: predictions has only 2 partitions" in (loop.unready() or "")
    for role in ("predictions", "dead-letters"):
        topic = stand.cluster.topic(NAMES.topic(role))
        topic.logs.append(type(topic.logs[0])(At(topic.name, 2)))
    stand.turn(loop, times=200)
    assert len(stand.dead()) == 10
    assert loop.unready() is None


@pytest.mark.parametrize("idle", [True, False], ids=["idle", "under load"])
def test_an_output_made_anew_with_fewer_partitions_is_seen(idle: bool) -> None:
    """The partition that has no counterpart any more waits with a sentence, the rest flows; given back, so does it."""
    stand, output = Stand(), NAMES.topic("predictions")
    loop = stand.loop(Answerer(), needs=["features", "predictions"])
    stand.feed(5, 0)
    stand.feed(5, 1)
    stand.turn(loop)
    stand.cluster.delete_topic(output)
    stand.cluster.create_topic(output, 1)
    if idle:
        stand.turn(loop, times=200)
        assert "features/1 waits: predictions has only 1 partitions" in (loop.unready() or "")
    stand.feed(3, 0)
    stand.feed(3, 1)
    stand.turn(loop, times=30)
    assert "features/1 waits: predictions has only 1 partitions" in (loop.unready() or "")
    assert stand.answers() == [(0, row) for row in (5, 6, 7)]
    topic = stand.cluster.topic(output)
    topic.logs.append(type(topic.logs[0])(At(output, 1)))
    stand.turn(loop, times=200)
    assert stand.answers() == [(partition, row) for partition in (0, 1) for row in (5, 6, 7)]
    assert loop.unready() is None


def test_letters_of_another_life_are_no_answers() -> None:
    """Dead letters carry the id too: the new topic's first rows are set aside once more."""
    stand = Stand()
    stand.feed(5)
    loop = stand.loop(_Refuser())
    stand.turn(loop)
    loop.close()
    anew(stand)
    stand.feed(9)
    stand.turn(stand.loop(_Refuser()), times=30)
    new = stand.bus.topic_id("features")
    assert [letter["freshet.offset"] for letter in stand.dead() if letter["freshet.topic_id"] == new] == list(
        "012345678"
    )


def test_a_strangers_letter_beyond_the_end_stops_nothing_where_the_offsets_are_lost() -> None:
    """It says no topic's id, and names a record that never was: it is no proof of a log that lost its end."""
    stand = Stand()
    stand.feed(5)
    loop = stand.loop(Answerer())
    stand.turn(loop)
    loop.close()
    stand.cluster._groups.clear()
    headers = [("freshet.role", b"features"), ("freshet.partition", b"0"), ("freshet.offset", b"999")]
    stand.bus.producer().send(Send("dead-letters", [None], [b"a stranger's"], [0], [headers]))
    stand.feed(2)
    with capture_logs() as logs:
        stand.turn(stand.loop(Answerer()), times=30)
    assert stand.answers() == stand.inputs()
    (warning,) = [line for line in logs if line["event"] == "dead_letter_of_no_record"]
    assert (warning["place"], warning["offset"]) == (Place("features", 0), 999)


def test_a_search_waits_for_an_open_transaction_on_the_outputs() -> None:
    """Answers behind its first record cannot be seen: to go on would give them twice."""
    stand = Stand(partitions=1)
    stand.feed(5)
    loop = stand.loop(Answerer())
    stand.turn(loop)
    loop.close()
    stand.cluster._groups.clear()
    hanging = stand.cluster.transactions.open("hanging")
    stand.cluster.transactions.begin(hanging, stand.cluster.now_ms)
    log = stand.cluster.topic(NAMES.topic("predictions")).log(0)
    transaction = stand.cluster.transactions.current(hanging)
    transaction.logs.add(log)
    log.append(stand.cluster.now_ms, Payload(b"k", b"v"), transaction)
    late = stand.loop(Answerer())
    stand.turn(late, times=5)
    assert "predictions/0 has an open transaction" in (late.unready() or "")
    stand.cluster.transactions.end(hanging, committed=False)
    stand.feed(1)
    stand.turn(late, times=30)
    assert stand.answers() == stand.inputs()


def test_no_row_reaches_a_logic_that_has_lost_its_partition() -> None:
    """A batch interrupted by a rebalance is dropped unanswered: the logic has forgotten the partition by then."""
    stand = Stand()
    logic = _Owner()
    loop = stand.loop(logic, fixed=False)
    stand.turn(loop, times=6)
    for partition in (0, 1):
        stand.feed(5, partition)
    (member,) = stand.cluster.group(NAMES.group("inference")).members
    others: list[DataLoop] = []

    def join() -> None:
        others.append(stand.loop(_Owner(), "1", fixed=False))
        stand.turn(others[0], times=3)

    stand.cluster.rebalance_during_next_collect(member, join)
    for _ in range(10):
        stand.turn(loop, times=1)
        stand.turn(others[0], times=1)
    assert stand.answers() == stand.inputs()


class _Plain(Answerer):
    """Knows no positions in history, as ingestion."""

    origin = ""


class _Refuser(Answerer):
    """Sets every row aside."""

    def on_batch(self, batch: Batch) -> Iterable[Effect]:
        yield DeadLetter(np.arange(len(batch)), "input_range", ["no"] * len(batch))


class _Owner(Answerer):
    """Insists that every row is of a partition that it was given and has not lost."""

    def __init__(self) -> None:
        super().__init__()
        self.mine: set[int] = set()

    def on_assign(self, role: str, partition: int, metadata: str) -> None:
        self.mine.add(partition)
        super().on_assign(role, partition, metadata)

    def on_revoke(self, role: str, partition: int) -> None:
        self.mine.discard(partition)

    def on_batch(self, batch: Batch) -> Iterable[Effect]:
        assert set(batch.partitions.tolist()) <= self.mine
        return super().on_batch(batch)
