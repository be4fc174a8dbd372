"""Feedback becomes labels, held to the pipeline's target."""

from typing import Any

import pytest

from freshet.avro.own_schemas import schema_id
from freshet.contracts.topic_id import UNKNOWN_BYTES
from support.ingestion import NOW_MS, SPEC_TEXT, batch, dead, framed, framed_feedback, loan, serving, written

REGRESSION = SPEC_TEXT.replace("classes: [approved, declined]", "kind: value")


def labels(*values: bytes | None, text: str = SPEC_TEXT) -> list[Any]:
    """What becomes of these feedback records."""
    return list(serving(text).on_batch(batch(values, role="feedback")))


def test_feedback_becomes_a_label() -> None:
    """All it says, its position in the log, and the entity as key, so that labels lie beside their events."""
    [label] = written(labels(framed_feedback(revision=2, label="declined")), "labels")
    assert label.key == b"ada"
    record = {**label.record, "labelled_at": label.record["labelled_at"].timestamp() * 1000}
    assert record == {
        "event_id": "e1",
        "entity": "ada",
        "label": "declined",
        "labelled_at": NOW_MS,
        "revision": 2,
        "source_partition": 0,
        "source_offset": 100,
        "source_topic": UNKNOWN_BYTES,
    }


def test_label_without_entity_is_keyed_like_its_event() -> None:
    """The event of an unknown entity is keyed by its id; its label must meet it there."""
    [label] = written(labels(framed_feedback(entity="")), "labels")
    assert (label.key, label.record["entity"]) == (b"e1", "e1")


def test_corrections_pass() -> None:
    """Later revisions and repeats are kept: whoever joins takes the highest."""
    assert len(written(labels(*[framed_feedback(revision=number) for number in (0, 1, 1)]), "labels")) == 3


@pytest.mark.parametrize(
    ("value", "reason", "said"),
    [
        (
            framed_feedback(label="Approved"),
            "input_enum",
            "label is 'Approved': the pipeline's classes are ('approved', ",
        ),
        (framed_feedback(event_id=""), "input_missing", "event_id is ''"),
        (framed_feedback(revision=-1), "input_range", "revision is -1: revisions count up from 0."),
        (framed_feedback(labelled_at=NOW_MS + 600_001), "input_event_time", "max_event_skew is 10m"),
        (framed(loan()), "input_schema_unknown", f"known are {schema_id('Feedback')}"),
        (None, "input_empty", "null"),
    ],
    ids=["class", "no-id", "revision", "future", "other-schema", "null"],
)
def test_bad_feedback_is_set_aside(value: bytes | None, reason: str, said: str) -> None:
    """Feedback's schema is ours, so a strange id is no reason to wait."""
    effects = labels(framed_feedback(), value)
    assert len(written(effects, "labels")) == 1
    assert dead(effects)[1].reason == reason
    assert said in dead(effects)[1].detail


def test_old_label_is_a_label() -> None:
    """Truth may come years after: how late is too late is for the join to say."""
    assert len(written(labels(framed_feedback(labelled_at=0)), "labels")) == 1


@pytest.mark.parametrize("text", ["0", "-1.5", "+2", "1e-3", "1E10", "00.5"])
def test_regression_takes_decimal_numbers(text: str) -> None:
    """As people and programs write them."""
    assert len(written(labels(framed_feedback(label=text), text=REGRESSION), "labels")) == 1


@pytest.mark.parametrize(
    "text", ["", "approved", "nan", "inf", "1e999", "1_000", "0x10", "1,5", " 1", "١", "1." + "0" * 999]
)
def test_regression_refuses_anything_else(text: str) -> None:
    """What one library reads as a number and another does not, NaN and what no float can hold."""
    assert dead(labels(framed_feedback(label=text), text=REGRESSION))[0].reason == "input_malformed"


def test_kept_partitions_are_those_of_the_feedback() -> None:
    """With `keep`, labels stay where their producer put them: beside the events of the same entity."""
    keep = serving(SPEC_TEXT.replace("entity: applicant", "entity: applicant\npartitioning: keep"))
    effects = keep.on_batch(batch([framed_feedback()] * 2, role="feedback", partitions=[4, 2]))
    assert [row.partition for row in written(effects, "labels")] == [4, 2]
