"""What becomes of the rows of a batch: good ones, unreadable ones, in which order and with which bytes."""

from dataclasses import replace

import numpy as np
import pytest

from freshet.avro import Column, Decoder, Strings, frame_header
from freshet.avro.own_schemas import current_schema, schema_id
from freshet.contracts.logic import Announce, DeadLetter, Effect, Mark, Publish
from freshet.contracts.topic_id import to_text
from freshet.models.scorer import Scorer
from support.inference import (
    CLASSES,
    FEATURES,
    PIPELINE,
    SOURCE_TOPIC,
    TOPIC_ID,
    Row,
    answers,
    as_bytes,
    dead,
    manifest,
    model,
    of_kind,
    plain,
    rollout,
    serving,
    specification,
    vector,
    vectors,
)
from support.inference_models import softmax_manifest, softmax_model


def topics_of(column: Column) -> list[str]:
    """A column of topic ids as text."""
    assert isinstance(column, Strings)
    return list(map(to_text, column.tobytes()))


def test_a_prediction_says_all_about_its_row() -> None:
    """Every field, the key and the partition number; the label is the class of the highest score."""
    worker = serving(model("v1"), rollout(1, "v1"))
    (publish,) = of_kind(worker.answer(vector(1, 33)), Publish)
    columns = Decoder(current_schema("Prediction")).decode(list(publish.values)).columns
    (answer,) = answers([publish])
    topics = {name: topics_of(columns[name]) for name in ("features_topic", "source_topic")}
    assert {name: plain(column) for name, column in columns.items() if name not in topics} | topics == {
        "event_id": ["e1-33"],
        "entity": ["card5"],
        "event_time": [1_033],
        "scores": [answer.scores],
        "label": ["fraud" if answer.scores[1] > answer.scores[0] else "legit"],
        "version": ["v1"],
        "epoch": [1],
        "fallback": [0],
        "arm": [0],
        "features_partition": [1],
        "features_offset": [33],
        "source_partition": [11],
        "source_offset": [1_033],
        "features_topic": [TOPIC_ID],
        "source_topic": [to_text(SOURCE_TOPIC)],
    }
    assert (publish.role, list(publish.keys), publish.partitions) == ("predictions", [b"card5"], [1])


def test_a_record_without_a_key_is_keyed_by_its_entity() -> None:
    """Whoever wrote the features, predictions of one entity share a key."""
    worker = serving(model("v1"), rollout(1, "v1"))
    row = vector(0, 3)
    (publish,) = of_kind(worker.answer(Row(0, 3, row.value_, None), vector(0, 4)), Publish)
    assert list(publish.keys) == [b"card3", b"card4"]


def test_a_regression_has_no_label() -> None:
    """One score, no classes."""
    regression = model("v1").model_copy(update={"manifest": manifest("v1", classes=())})
    worker = serving(regression, rollout(1, "v1"), minds={"v1": lambda rows: rows[:, :1].copy()})
    (answer,) = answers(worker.answer(vector(0, 0, [2.5, 0, 0])))
    assert (answer.label, answer.scores) == ("", (2.5,))


def _unreadable() -> list[tuple[bytes | None, str]]:
    good = vector(0, 0).value_
    assert good is not None
    label = frame_header(schema_id("Label")) + good[5:]
    unknown = frame_header(999_999) + good[5:]
    return [
        (None, "input_empty"),
        (b"", "input_empty"),
        (b"{}", "input_framing"),
        (b"\x01" + good[1:], "input_framing"),
        (unknown, "input_schema_unknown"),
        (label, "input_schema_unknown"),
        (good[:-3], "input_truncated"),
        (good + b"x", "input_trailing"),
    ]


@pytest.mark.parametrize(("value", "reason"), _unreadable())
def test_an_unreadable_row_is_set_aside_and_stops_nothing(value: bytes | None, reason: str) -> None:
    """The rows around it are answered; a person can read why it was not."""
    worker = serving(model("v1"), rollout(1, "v1"))
    effects = worker.answer(vector(0, 0), Row(0, 1, value), vector(0, 2))
    assert dead(effects) == {reason: [1]}
    assert [a.offset for a in answers(effects)] == [0, 2]
    assert all(letter.details[0].endswith((".", "?")) for letter in of_kind(effects, DeadLetter))


def test_unreadable_rows_are_named_by_their_place_in_the_batch() -> None:
    """Also when rows of a held partition are left out of the decoding."""
    worker = serving(model("v1"), rollout(1, "v1"))
    worker.assign(p4="e=9 f=0")
    rows = [*vectors(4, 0, 2), Row(0, 0, frame_header(999_999)), Row(0, 1, frame_header(999_998)), vector(0, 2)]
    letters = of_kind(worker.answer(*rows), DeadLetter)
    assert {letter.schema_id: letter.rows.tolist() for letter in letters} == {999_999: [2], 999_998: [3]}


def test_a_batch_of_nothing_readable_still_moves_the_partition() -> None:
    """Its offsets are answered by dead letters, under the position that is marked."""
    worker = serving(model("v1"), rollout(1, "v1"))
    effects = worker.answer(Row(0, 8, b"junk"))
    assert [type(effect) for effect in effects] == [DeadLetter, Announce, Mark]


def test_effects_come_in_a_fixed_order_and_are_repeatable() -> None:
    """Two workers that are told the same do the same, byte for byte."""

    def run() -> list[Effect]:
        worker = serving(model("v1"), model("v2"), rollout(1, "v1"), rollout(2, "v2", resident=["v1"]))
        worker.assign(p1="e=2 f=0", p2="e=9 f=0", p3="e=2 f=1")
        rows = [
            *vectors(1, 5, 4),
            Row(0, 2, b"junk"),
            *vectors(3, 0, 2),
            Row(1, 9, None),
            *vectors(2, 0, 2),
            *vectors(0, 3, 2),
        ]
        return worker.answer(*rows)

    assert as_bytes(run()) == as_bytes(run())
    kinds = [type(effect).__name__ for effect in run()]
    assert kinds == ["Hold", "Hold", "DeadLetter", "DeadLetter", "Announce", "Publish", "Mark", "Mark"]


@pytest.mark.parametrize("cut", [1, 7, 8, 31])
def test_the_same_rows_in_other_batches_give_the_same_bytes(cut: int) -> None:
    """P5: a prediction is a function of its row and its version, not of the company it was read in. A real model."""
    weights = np.random.default_rng(3).normal(size=(len(FEATURES), len(CLASSES))).astype(np.float32)
    data = softmax_model(weights)
    scorer = Scorer.load(data, softmax_manifest(data, weights, FEATURES, CLASSES, PIPELINE))
    rows = [vector(row % 2, row // 2) for row in range(32)]

    def run(*parts: list[Row]) -> dict[tuple[int, int], bytes]:
        worker = serving(model("v1"), rollout(1, "v1"), minds={"v1": scorer.score})
        found: dict[tuple[int, int], bytes] = {}
        for part in parts:
            for publish in of_kind(worker.answer(*part), Publish):
                columns = Decoder(current_schema("Prediction")).decode(list(publish.values)).columns
                places = zip(plain(columns["features_partition"]), plain(columns["features_offset"]), strict=True)
                found |= dict(zip(places, publish.values, strict=True))
        return found

    assert run(rows) == run(rows[:cut], rows[cut:])
    assert len(run(rows)) == 32


def test_headers_pass_where_the_pipeline_says_so() -> None:
    """A prediction carries the trace of its vector; without the word in pipeline.yaml it carries none."""
    trace = ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    rows = [replace(vector(0, 1), headers_=(trace, ("x", b"1"))), vector(0, 2)]
    worker = serving(model("v1"), rollout(1, "v1"))
    (publish,) = of_kind(worker.answer(*rows), Publish)
    assert publish.headers is None
    said = specification()
    worker.learn(said.model_copy(update={"number": 2, "spec": said.spec + "\nheaders: pass\n"}))
    rows = [replace(row, offset_=row.offset_ + 2) for row in rows]
    (publish,) = of_kind(worker.answer(*rows), Publish)
    assert publish.headers == [[trace], ()]
