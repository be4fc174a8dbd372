"""Whatever lies on predictions and labels, the join refuses what it cannot use, with a reason, and goes on."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from freshet.avro import Encoder, Ragged, Strings
from freshet.avro.own_schemas import current_schema, schema_id, schema_lock
from freshet.contracts.batch import read_headers
from freshet.contracts.topic_id import to_bytes
from freshet.runtime.bus.protocol import Send
from freshet.runtime.reading import everything
from support.join_stage import JoinStage
from support.join_world import REGRESSION, label_columns, prediction_columns

_IDS = [f"a-{number}" for number in range(12)]


def label(text: str = "bad", name: str = "a-1") -> bytes:
    """A label as ingestion writes it, but for its text."""
    return Encoder(current_schema("Label"), schema_id("Label")).encode(label_columns([(name, 0, text)]))[0]


def prediction(stage: JoinStage, **fields: Any) -> bytes:
    """A prediction as inference writes it, but for these fields."""
    columns = prediction_columns(["z-1"], [0], to_bytes(stage.bus.topic_id("features"))) | fields
    return Encoder(current_schema("Prediction"), schema_id("Prediction")).encode(columns)[0]


def rubbish() -> list[bytes | None]:
    """Records that no reader can make anything of."""
    whole = label()
    return [
        None,
        b"",
        b"hello",
        whole[:-3],
        whole + b"!",
        b"\x00" + (77).to_bytes(4, "big") + whole[5:],
        b"\x00" + (1 << 29 | 99_999).to_bytes(4, "big") + whole[5:],
        whole[:5] + b"\xff" * 40,
    ]


HUGE = b"x" * 1_048_000
"""As much as the topic takes."""


def send(stage: JoinStage, role: str, values: Sequence[bytes | None], key: bytes | None = b"card") -> None:
    """A stranger writes these."""
    stage.bus.producer().send(Send(role, [key] * len(values), list(values), [0] * len(values)))


def letters(stage: JoinStage) -> Counter[tuple[str, str]]:
    """How many records of each input were set aside, by reason."""
    found: Counter[tuple[str, str]] = Counter()
    for batch in everything(stage.bus, "dead-letters"):
        for record in batch.records:
            said = {name: (value or b"").decode() for name, value in read_headers(record) or ()}
            assert said["freshet.service"] == "drift-join"
            assert said["freshet.detail"]
            found[said["freshet.role"], said["freshet.reason"]] += 1
    return found


@pytest.mark.parametrize("role", ["predictions", "labels"])
@pytest.mark.parametrize("rows", [20, 500])
def test_rubbish_is_set_aside_and_the_rest_of_its_batch_is_joined(role: str, rows: int) -> None:
    """Torn, foreign, huge or empty, with any key: also where a batch, or a slab, holds nothing else."""
    stage = JoinStage(partitions=1, rows=rows)
    loop = stage.worker()
    stage.world.ask(_IDS[:6])
    send(stage, role, rubbish(), key=None)
    send(stage, role, [HUGE])
    stage.world.ask(_IDS[6:])
    send(stage, role, rubbish() * 150, key=b"\xff")
    stage.world.tell([(name, 0, "bad") for name in _IDS])
    stage.drain(loop)
    counts = stage.world.records()[-1].counts
    assert (counts["predictions"], counts["labels"], counts["matched"]) == (12, 12, 12)
    assert sum(letters(stage).values()) == 151 * len(rubbish()) + 1
    assert {of for of, _ in letters(stage)} == {role}
    dump = stage.state(loop).dump()
    loop.close()
    again = stage.worker()
    stage.turn(again, times=20)
    assert stage.state(again).dump() == dump
    assert stage.world.records()[-1].counts == counts


def test_labels_of_no_class_are_refused_before_they_count() -> None:
    """Evaluation knows no such row, and would stop at it for ever."""
    stage = JoinStage(partitions=1)
    stage.world.ask(_IDS)
    send(stage, "labels", [label("perhaps"), label(""), label("bad")])
    stage.drain(stage.worker())
    assert letters(stage) == {("labels", "input_enum"): 2}
    assert stage.world.records()[-1].counts["matched"] == 1


def test_labels_that_are_no_numbers_are_refused() -> None:
    """A regression's truth is finite."""
    stage = JoinStage(partitions=1, target=REGRESSION)
    stage.world.ask(_IDS)
    send(stage, "labels", [label("bad"), label("nan"), label("-inf"), label(""), label("2.5")])
    stage.drain(stage.worker())
    assert letters(stage) == {("labels", "input_malformed"): 4}
    assert stage.world.records()[-1].counts["matched"] == 1


def test_predictions_that_are_no_answers_are_refused() -> None:
    """Other scores than the pipeline has classes, no class of its, no numbers, no place in features."""
    stage = JoinStage(partitions=1)
    stage.world.ask(_IDS)
    bad = [
        prediction(stage, scores=Ragged.from_matrix(np.ones((1, 3), np.float32))),
        prediction(stage, scores=Ragged.from_matrix(np.array([[np.nan, 1]], np.float32))),
        prediction(stage, label=Strings.from_list(["perhaps"])),
        prediction(stage, features_offset=np.array([-2])),
        prediction(stage, epoch=np.array([-1])),
        prediction(stage, epoch=np.array([2**40])),
        prediction(stage, fallback=np.array([7], np.int32)),
        prediction(stage, version=Strings.from_list(["9" * 100_000])),
    ]
    send(stage, "predictions", bad)
    stage.world.tell([("a-1", 0, "bad"), ("z-1", 0, "ok")])
    stage.drain(stage.worker())
    assert letters(stage) == {
        ("predictions", "input_malformed"): 6,
        ("predictions", "input_not_finite"): 1,
        ("predictions", "input_enum"): 1,
    }
    assert stage.world.records()[-1].counts["matched"] == 1


def test_a_place_beyond_the_features_is_a_row_without_values() -> None:
    """A stranger's prediction may name any offset."""
    stage = JoinStage(partitions=1)
    stage.world.ask(_IDS)
    send(stage, "predictions", [prediction(stage, features_offset=np.array([at])) for at in (10**6, 2**62)])
    stage.world.tell([("z-1", 0, "bad")])
    stage.drain(stage.worker())
    assert stage.world.records()[-1].counts["matched"] == 1


def test_lost_offsets_are_found_behind_rubbish() -> None:
    """None of it is set aside twice."""
    stage = JoinStage(partitions=1)
    stage.world.ask(_IDS)
    send(stage, "labels", rubbish())
    loop = stage.worker()
    stage.drain(loop)
    loop.close()
    stage.group.lose_offsets()
    stage.world.tell([(name, 0, "bad") for name in _IDS])
    stage.drain(stage.worker())
    assert sum(letters(stage).values()) == len(rubbish())
    assert stage.world.records()[-1].counts["matched"] == 12


def test_records_of_a_newer_release_are_waited_with() -> None:
    """They are sound, and only this process cannot read them: nothing is set aside, and the upgrade joins them."""
    stage = JoinStage(partitions=2)
    newest = max(entry.id for entry in schema_lock())
    stage.world.ask(_IDS)
    stage.world.ask(_IDS, partition=1)
    send(stage, "labels", [label(), b"\x00" + (newest + 1).to_bytes(4, "big") + label()[5:]])
    stage.world.tell([("a-2", 0, "bad")], partition=1)
    loop = stage.worker()
    stage.turn(loop, times=30)
    assert "a newer Freshet wrote" in stage.logic(loop).waits("labels", 0)
    assert "a newer Freshet wrote" in (loop.unready() or "")
    places = [("predictions", 0), ("predictions", 1), ("labels", 0), ("labels", 1)]
    assert [stage.left(*place) for place in places] == [0, 0, 2, 0]
    assert not letters(stage)
