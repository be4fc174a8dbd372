"""What follows a published pipeline, and what must not."""

import json
from typing import Any

import pytest

from freshet.avro.own_schemas import event_schema_id
from freshet.contracts.errors import ContractError
from freshet.contracts.messages import PipelineRecord
from freshet.pipeline import PipelineSpec
from freshet.pipeline.record import PipelineConflictError, next_record

SPEC = """
pipeline: fraud
entity: card
event_id: id
event_time: at
features: {version: 1, columns: [{kind: field, of: amount}]}
target: {classes: [legit, fraud]}
"""
IDENTITY = [
    {"name": "id", "type": "string"},
    {"name": "card", "type": "string"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
]


def events(*fields: dict[str, Any]) -> dict[str, Any]:
    """An event schema with an amount and these further fields."""
    return {"type": "record", "name": "Payment", "fields": [*IDENTITY, {"name": "amount", "type": "double"}, *fields]}


COUNTRY = {"name": "country", "type": "string", "default": ""}


def follow(
    previous: PipelineRecord | None, text: str = SPEC, schema: dict[str, Any] | None = None, *earlier: dict[str, Any]
) -> PipelineRecord:
    """The record that follows, with the first schema unless another is given."""
    return next_record(previous, PipelineSpec.parse(text), text, schema or events(), earlier)


def test_numbers_count_up_from_one() -> None:
    """The first record is number 1; a changed specification is the next number, with the schema's own id."""
    first = follow(None)
    assert (first.pipeline, first.number) == ("fraud", 1)
    assert first.event_schema_id == event_schema_id(json.loads(first.event_schema))
    second = follow(first, SPEC + "max_event_bytes: 1024\n")
    assert second.number == 2
    assert second.event_schema_id == first.event_schema_id
    assert follow(second, SPEC + "max_event_bytes: 1024\n", events(COUNTRY)).event_schema_id != second.event_schema_id


def test_nothing_new_is_nothing_to_publish() -> None:
    """Applying the same folder again gives the published record itself; comments and layout are not a change."""
    first = follow(None)
    assert follow(first) is first
    assert (
        follow(first, "# said better\n" + SPEC.replace("{classes: [legit, fraud]}", "\n  classes: [legit, fraud]"))
        is first
    )


def test_a_specification_that_breaks_models_is_refused() -> None:
    """Other classes under live models are refused, with every reason and the number that stands."""
    first = follow(None)
    changed = SPEC.replace("fraud]", "fraud, unsure]") + "partitions: 12\n"
    with pytest.raises(PipelineConflictError, match="number 1") as caught:
        follow(first, changed)
    assert len(caught.value.reasons) == 2


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param(events({"name": "country", "type": "string"}), id="a field without a default"),
        pytest.param(events() | {"name": "Order"}, id="another record"),
    ],
)
def test_an_event_schema_that_producers_cannot_follow_is_refused(schema: dict[str, Any]) -> None:
    """Producers and Freshet are upgraded in any order, so event schemas stay fully compatible."""
    with pytest.raises(PipelineConflictError, match=r"event\.avsc"):
        follow(follow(None), SPEC, schema)


def test_compatibility_reaches_back_to_every_published_schema() -> None:
    """A field that was dropped may not come back with another type: old events are still on the topic."""
    dropped = events({"name": "extra", "type": "string", "default": ""})
    back = events({"name": "extra", "type": "long", "default": 0})
    first = follow(None)
    assert follow(first, SPEC, back).number == 2, "compatible with what is published last"
    with pytest.raises(PipelineConflictError, match=r"event\.avsc"):
        follow(first, SPEC, back, dropped)


def test_a_published_specification_that_cannot_be_read_stops_applying() -> None:
    """What cannot be compared is not replaced: it may use a part that only others have installed."""
    strange = follow(None).model_copy(update={"spec": SPEC.replace("kind: field", "kind: somebody-elses")})
    with pytest.raises(ContractError, match="cannot be read here"):
        follow(strange, SPEC + "max_event_bytes: 1024\n")
