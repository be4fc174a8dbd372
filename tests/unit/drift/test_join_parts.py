"""The parts that the label join is made of."""

import random

import numpy as np
import pytest

from freshet.avro import Strings
from freshet.avro.control import encode
from freshet.contracts.errors import DeletedError
from freshet.contracts.logic import Fact
from freshet.contracts.messages import Minute
from freshet.drift.core.join import join_state, primaries, ring, slab
from freshet.drift.core.join.hash_table import HashTable
from freshet.drift.core.join.hashing import hash64, hash64_of
from freshet.drift.core.join.join_rows import LABEL, NO_LABEL, PAIR, Plans, Windows, distinct, renumbered
from freshet.drift.core.join.join_state import JoinState
from freshet.drift.core.join.logic import JoinLogic
from freshet.drift.core.join.outcome_writer import RecordHead, Vectors, records
from freshet.drift.core.join.told import Told
from freshet.drift.core.profile.profile_logic import ProfileLogic
from support.evaluating import pipeline_record
from support.join_logs import SCORES, label_rows, prediction_rows
from support.join_reference import Label, Prediction

HOUR = 3_600_000


def test_hashes_are_those_that_others_find() -> None:
    """Values of the published algorithm, seed 0, as Redis and others compute them."""
    ids = Strings.from_list(["", "a", "hello world", "x" * 200])
    assert hash64(ids).tolist() == [hash64_of(text) for text in ids.tobytes()]
    assert hash64_of(b"") == 0
    assert hash64_of(b"a") == 0x071717D2D36B6B11


def test_columns_and_single_ids_hash_alike() -> None:
    """Of all lengths, in columns whose rows share and skip bytes."""
    rng = random.Random(1)
    texts = [bytes(rng.choices(range(256), k=rng.randint(0, 150))) for _ in range(500)]
    column = Strings.from_list(texts).take(np.array(rng.sample(range(500), 300)))
    for seed in (0, 99):
        assert hash64(column, seed).tolist() == [hash64_of(text, seed) for text in column.tobytes()]


def test_a_discarded_batch_hides_no_older_row_of_its_bucket() -> None:
    """All ids in one bucket: those that do not fit are in the dict, and the bucket says until which row to look."""
    hashes = (np.arange(1, 41, dtype=np.uint64) << np.uint64(52)) | np.uint64(7 << 32)
    table = HashTable(lambda numbers: hashes[numbers])
    table.advance(0, 20)
    table.insert(hashes[:20], np.arange(20))
    table.advance(0, 40)
    table.insert(hashes[20:], np.arange(20, 40))
    table.remove(hashes[20:], np.arange(20, 40))
    table.advance(0, 20)
    assert table.find(hashes).tolist() == [*range(20), *[-1] * 20]


def test_a_table_finds_what_is_not_gone() -> None:
    """Growing over many splits, with a moving floor."""
    rng = np.random.default_rng(3)
    hashes = rng.integers(0, 2**63, 60_000).astype(np.uint64)
    table = HashTable(lambda numbers: hashes[numbers])
    for first in range(0, 60_000, 1000):
        table.advance(max(0, first - 20_000), first + 1000)
        table.insert(hashes[first : first + 1000], np.arange(first, first + 1000))
    found = table.find(hashes)
    assert (found[39_000:] == np.arange(39_000, 60_000)).all()
    assert (found[:39_000] == -1).all()


def test_a_ring_grows_with_its_rows() -> None:
    """A thousand open predictions take less than a megabyte."""
    rows = JoinState(SCORES, Plans({1: Windows(HOUR, HOUR, HOUR)}))
    rows.predictions(prediction_rows([Prediction((n, n), n, 1000 + n, 1) for n in range(1000)]))
    rows.committed()
    assert rows.nbytes < 1 << 20
    assert rows.rows.capacity == 1024


def test_slabs_give_back_their_rows() -> None:
    """With the names that a state counts otherwise."""
    rows = prediction_rows([Prediction((n, 5), 3 * n, 1000 + n, 2) for n in range(50)])
    body = slab.encode(rows, {"version": ["1.0.0", "1.1.0"], "topic": ["t"]})
    names = {"version": ["0.9.0", "1.1.0"], "topic": list[str]()}
    again = slab.decode(body, rows.dtype, names)
    assert names == {"version": ["0.9.0", "1.1.0", "1.0.0"], "topic": ["t"]}
    for column in set(rows.dtype.names or ()) - {"version"}:
        assert (again[column] == rows[column]).all()
    assert [names["version"][code] for code in again["version"]] == ["1.0.0", "1.1.0"] * 25
    labels = label_rows([Label((n, 5), n, 1000 + n, 900, -1, 0.5, 1) for n in range(9)])
    assert (slab.decode(slab.encode(labels, {}), LABEL, {}) == labels).all()


def test_rows_are_numbered_anew_before_the_table_runs_out_of_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is open then is found afterwards, also an id that has two primaries."""
    monkeypatch.setattr(join_state, "MOST_NUMBER", 8000)
    monkeypatch.setattr(primaries, "_AT_ONCE", 100)
    monkeypatch.setattr(ring, "_FIRST_ROWS", 64)
    join = JoinState(SCORES, Plans({1: Windows(100, 10, 10)}))
    for first in range(0, 20_000, 100):
        asked = [Prediction((n % 150, 1), n, 10 * n, 1) for n in range(first, first + 100)]
        join.predictions(prediction_rows(asked))
        taken = join.labels(label_rows([Label(at.id, at.offset, at.time_ms + 5, 0, 0, 1.0, 1) for at in asked]))
        assert join.rows.column("offset", taken.pairs["row"]).tolist() == [at.offset for at in asked]
        join.rows_between("predictions", 0, first)
        join.rows_between("labels", 0, first)
        join.committed()
    assert join.rows.next < 8000
    assert join.counts["matched"] == 20_000
    assert (join.marks.column("revision", np.arange(join.rows.floor, join.rows.next)) != NO_LABEL).all()


def test_silence_that_was_noticed_after_the_last_commit_says_nothing_to_a_state_that_goes_on() -> None:
    """What followed from it is counted and written with the next batch, once: not in between, where nobody sees it."""
    join = JoinState(SCORES, Plans({1: Windows(100, 10, 10, absent_after=50)}))
    join.predictions(prediction_rows([Prediction((1, 1), 0, 1000, 1)]))
    join.labels(label_rows([Label((2, 2), 0, 1000, 1000, 0, 1.0, 1)]))
    join.committed()
    told = Told.of(join)
    for log in join.logs.values():
        log.idle_ms = 2000
    told.apply(join)
    assert (join.waiting.live, join.told["waiting"], join.told["open"]) == (1, 1, 1)
    for log in join.logs.values():
        log.idle_ms = 2000
    assert join.labels(label_rows([Label((3, 3), 1, 2001, 2001, 0, 1.0, 1)])).pairs["row"].tolist() == [0]
    assert (join.told["unknown"], join.told["waiting"], join.told["absent"]) == (1, 1, 1)


def test_what_silence_led_to_is_inferred_where_only_counts_are_left() -> None:
    """Lost offsets are told by a record, without clocks: nothing is given up, counted or written a second time."""

    def restored() -> JoinState:
        join = JoinState(SCORES, Plans({1: Windows(100, 10, 10, absent_after=50)}))
        join.predictions(prediction_rows([Prediction((n, 1), n, 1000 + 10 * n, 1) for n in range(3)]))
        join.labels(label_rows([Label((9, n), n, 1000 + 10 * n, 1000, 0, 1.0, 1) for n in range(2)]))
        return join

    join = restored()
    join.logs["predictions"].idle_ms, join.logs["labels"].idle_ms = 1015, 1065
    join.close()
    assert (join.told["unknown"], join.told["absent"]) == (1, 2)
    told, again = Told.of(join)._replace(clocks_ms=(0, 0), idle_ms=(0, 0)), restored()
    for _ in range(2):  # the offsets of both inputs tell it
        told.apply(again)
        assert again.logs["labels"].idle_ms == 1061
    assert again.told == join.told
    assert (again.waiting.live, again.closed) == (join.waiting.live, join.closed)
    assert not again.close().pairs.size


def test_j11_records_of_many_features_are_cut() -> None:
    """No record takes half a megabyte; rows are numbered through, and minutes are told once."""
    head = RecordHead(
        pipeline="p",
        partition=2,
        number=1,
        inputs={"predictions": 9},
        counts={"predictions": 9},
        minutes=[Minute(start_ms=0, predictions=3, labelled=1)],
        spec_version=1,
        width=4000,
        classes=2,
        regression=False,
        topics=["t"],
        versions=["1.0.0", "1.1.0"],
        features_topic="t",
        input_topics={},
        number_from={},
        state_from={},
    )
    asked = prediction_rows([Prediction((n, 0), n, n, 1) for n in range(100)])
    pairs = np.zeros(100, PAIR)
    made = list(records(head, 50, pairs, asked, Vectors().groups(head, asked, None)))
    assert len(made) == 4
    assert all(len(encode(record)) < 512 << 10 for record in made)
    assert [record.first_row for record in made] == [50, 81, 112, 143]
    assert [len(record.minutes) for record in made] == [1, 0, 0, 0]
    assert sum(record.rows for record in made) == 100


def test_codes_are_numbered_in_the_order_in_which_they_come() -> None:
    """As the names beside them are listed."""
    used, codes = renumbered(np.array([7, 3, 7, 9, 3]))
    assert (used, codes.tolist()) == ([7, 3, 9], [0, 1, 0, 2, 1])
    used, codes = renumbered(np.array([4, 4]))
    assert (used, codes.tolist()) == ([4], [0, 0])
    assert distinct(np.array([5, 1, 5, 2])).tolist() == [1, 2, 5]


@pytest.mark.parametrize("logic", [JoinLogic("p", most_bytes=1 << 20), ProfileLogic("p")])
def test_a_pipeline_whose_name_was_used_before_is_served(logic: JoinLogic | ProfileLogic) -> None:
    """Until the topic is compacted whoever starts reads the deleted one first; only a worker that serves it ends."""
    record = pipeline_record()
    for message in (record, None, record):
        logic.fold(Fact("pipelines", f"p/{record.number}", message, 0))
    assert logic.unready() is None
    for role in ("features", *logic.reads):
        logic.on_topic(role, "topic")
    logic.begin(0)
    with pytest.raises(DeletedError):
        logic.fold(Fact("pipelines", f"p/{record.number}", None, 0))
