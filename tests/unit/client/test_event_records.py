"""Rows as records: what the client and the gateway write alike."""

import pytest

from freshet.avro.framed import FramedReader
from freshet.client import RowError
from freshet.client.event_records import RecordMaker
from freshet.contracts.messages import PipelineRecord
from freshet.operate.event_values import plain

SCHEMA = """{"type": "record", "name": "E", "fields": [{"name": "id", "type": "string"},
  {"name": "who", "type": "string"}, {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
  {"name": "x", "type": "double"}]}"""


def maker(target: str) -> RecordMaker:
    """For a small pipeline."""
    spec = f"""
pipeline: small
entity: who
event_id: id
event_time: at
features: {{version: 1, columns: [{{kind: field, of: x}}]}}
target: {target}
"""
    return RecordMaker(
        PipelineRecord(pipeline="small", number=1, spec=spec, event_schema=SCHEMA, event_schema_id=2**30)
    )


def test_events_are_keyed_by_entity_and_named_by_their_ids() -> None:
    """An id that is left out is made."""
    made = maker("{classes: [a, b]}").events([{"who": "é", "x": 1.5}], now_ms=7, new_id=lambda: "made")
    assert (made.role, made.ids, made.entities, made.keys) == ("events", ["made"], ["é"], ["é".encode()])
    assert made.partitions(1) == [0]


def test_labels_are_feedback_about_an_event() -> None:
    """The time is now where none is given; the revision has its default."""
    made = maker("{classes: [a, b]}").labels([{"event_id": "e", "entity": "w", "label": "b"}], now_ms=7)
    rows = FramedReader.of("Feedback", max_bytes=1000).read(made.values)
    assert {name: plain(column)[0] for name, column in rows.columns.items()} == {
        "event_id": "e",
        "entity": "w",
        "label": "b",
        "labelled_at": 7,
        "revision": 0,
    }
    assert (made.role, made.ids, made.keys) == ("feedback", ["e"], [b"w"])


@pytest.mark.parametrize(
    ("target", "label", "says"),
    [
        ("{classes: [a, b]}", "c", "none of the classes a, b"),
        ("{kind: value}", "much", "no number in decimal"),
        ("{kind: value}", "nan", "not finite"),
        ("{kind: value}", "-inf", "not finite"),
    ],
)
def test_a_label_that_nothing_could_be_learned_from_is_refused(target: str, label: str, says: str) -> None:
    """With its row and field."""
    good = "1.5" if target == "{kind: value}" else "a"
    rows = [{"event_id": "e", "entity": "w", "label": text} for text in (good, label)]
    with pytest.raises(RowError, match=says) as refused:
        maker(target).labels(rows, now_ms=7)
    assert (refused.value.field, refused.value.row) == ("label", 1)


def test_a_label_needs_its_event_and_its_entity() -> None:
    """Neither is made up."""
    with pytest.raises(RowError, match="event_id, entity are missing: every label needs them"):
        maker("{classes: [a, b]}").labels([{"label": "a"}], now_ms=7)
