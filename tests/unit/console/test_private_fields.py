"""What pages of single records show where the event schema marks fields as private."""

import json
from typing import Any, cast

import pytest

from freshet.console.core.private_fields import ALL, MASK, PrivateFields, private_fields
from freshet.console.one_event import _at
from freshet.contracts.messages import PipelineRecord
from freshet.operate.records import Readable
from freshet.pipeline.spec import PipelineSpec
from freshet.runtime.bus.protocol import Place
from freshet.runtime.lookups import Lookups
from support.console import EVENT_SCHEMA, PIPELINE, SPEC, flowing_world

PRIVATE = PrivateFields(frozenset({"salary", "applicant"}), frozenset({"salary"}), frozenset({"entity"}))
UNDECODABLE = {"undecodable": "truncated", "detail": "after b'1200'", "bytes": 4, "hex": "31323030"}


@pytest.mark.parametrize(
    ("role", "value", "shown"),
    [
        ("events", {"salary": 12.0, "age": 3}, {"salary": MASK, "age": 3}),
        ("events", UNDECODABLE, None),
        ("events", [{"salary": 12.0}], None),
        ("events", "salary=12", None),
        ("features", {"entity": "me", "epoch": 3, "values": [12.0]}, {"entity": MASK, "epoch": 3}),
        ("feedback", {"entity": "me", "label": "ok"}, {"entity": MASK, "label": "ok"}),
        ("feedback", UNDECODABLE, None),
    ],
)
def test_a_record_is_shown_as_its_role_allows(role: str, value: Any, shown: Any) -> None:
    """Records made of an event repeat private fields under names of their own; bytes and bare values may hold any."""
    assert PRIVATE.shown(role, value) == shown


def test_without_private_fields_everything_is_shown() -> None:
    """Values without fields too."""
    assert PrivateFields().shown("features", {"values": [1.0]}) == {"values": [1.0]}
    assert PrivateFields().shown("events", [1]) == {"value": [1]}
    assert PrivateFields().shown("events", UNDECODABLE) == UNDECODABLE


class _OneRecord:
    """Stands for a reader of records, for look-ups and for what they find: one record with this value."""

    def __init__(self, value: Any) -> None:
        self.values = [b"salary=1200"]
        self._value = value

    def find(self, place: Place, offsets: Any) -> "_OneRecord":
        return self

    def rows(self, batch: Any) -> list[dict[str, Any]]:
        return [{"partition": 0, "offset": 7, "timestamp_ms": 1, "key": None, "value": self._value}]


@pytest.mark.parametrize("value", [UNDECODABLE, ["salary", 1200], "salary=1200"])
def test_the_page_of_one_event_shows_nothing_of_what_it_cannot_mask(value: Any) -> None:
    """Neither its bytes nor what could be read of them."""
    one = _OneRecord(value)
    reader, lookups = cast(Readable, one), cast(Lookups, one)
    found = _at(reader, lookups, Place("events", 0), 7, PRIVATE)
    assert found is not None
    assert "1200" not in str(found)
    assert "31323030" not in str(found)


def record(*fields: dict[str, Any], name: str = "E") -> dict[str, Any]:
    """A record type with these fields."""
    return {"type": "record", "name": name, "fields": list(fields)}


TEXT = SPEC.format(pipeline=PIPELINE, partitions=2, target="{classes: [approved, declined]}")
STREET = {"name": "street", "type": "string", "private": True}


def marks(*fields: dict[str, Any]) -> frozenset[str]:
    """The fields that a schema of these fields marks."""
    return private_fields([json.dumps(record(*fields))], None).fields


def test_a_named_type_is_private_wherever_it_is_used() -> None:
    """By its short name, by its full name, in a union, and before and after another type of the same short name."""
    place = record(STREET, name="P")
    assert marks({"name": "a", "type": place}, {"name": "b", "type": ["null", "P"]}) == {"a.street", "b.street"}
    there = place | {"namespace": "n"}
    assert marks({"name": "a", "type": there}, {"name": "b", "type": "n.P"}) == {"a.street", "b.street"}
    other = record({"name": "street", "type": "string"}, name="P")
    assert marks({"name": "a", "type": there}, {"name": "b", "type": other}, {"name": "c", "type": "P"}) == {"a.street"}


@pytest.mark.parametrize("items", [{"type": "array", "items": "P"}, ["null", {"type": "map", "values": ["null", "P"]}]])
def test_a_list_of_what_is_partly_private_is_private(items: Any) -> None:
    """Names of fields do not tell which item is meant."""
    found = private_fields(
        [json.dumps(record({"name": "a", "type": record(STREET, name="P")}, {"name": "b", "type": items}))], None
    )
    assert found.masked({"a": {"street": "x"}, "b": [{"street": "x"}]}) == {"a": {"street": MASK}, "b": MASK}


def test_a_mark_that_is_no_boolean_counts() -> None:
    """Whoever wrote it meant something by it."""
    assert marks({"name": "a", "type": "int", "private": "yes"}, {"name": "b", "type": "int", "private": False}) == {
        "a"
    }


def test_the_marks_of_all_published_schemas_count() -> None:
    """An old event is decoded with its own schema, whose field the newest one may not have, or not mark."""
    world = flowing_world()
    spec, newest = world.folded.facts(PIPELINE).spec, EVENT_SCHEMA.replace(', "private": true', "")
    between = EVENT_SCHEMA.replace('"age", "type": "int"', '"age", "type": "int", "private": true')
    for number, schema in ((3, newest), (2, between)):
        told = PipelineRecord(pipeline=PIPELINE, number=number, spec=TEXT, event_schema=schema, event_schema_id=number)
        world.tell("pipelines", f"{PIPELINE}/{number}", told)
    assert spec is not None
    found = private_fields(world.folded.facts(PIPELINE).event_schemas, spec)
    assert found.fields == found.features == {"salary", "age"}


@pytest.mark.parametrize("private", ["who", "who.home", "who.home.street"])
def test_a_feature_is_private_if_any_part_around_its_field_is(private: str) -> None:
    """Of a field three levels down each level counts."""
    assert PrivateFields(frozenset({private})).hides("who.home.street")
    assert not PrivateFields(frozenset({private})).hides("whole")
    inner = record({"name": "street", "type": "int", "private": private == "who.home.street"}, name="H")
    middle = record({"name": "home", "type": inner, "private": private == "who.home"}, name="W")
    schema = record({"name": "who", "type": middle, "private": private == "who"})
    of = PipelineSpec.parse(TEXT.replace("of: salary", "of: who.home.street, name: street"))
    assert private_fields([json.dumps(schema)], of).features == {"street"}


NO_RECORD = ["", "{", "[]", "7", "null", '"P"', '{"type": "record", "name": "E", "fields": [1]}']


@pytest.mark.parametrize("schema", NO_RECORD)
def test_a_schema_that_cannot_be_read_hides_everything(schema: str) -> None:
    """Nobody knows what it marks."""
    found = private_fields([EVENT_SCHEMA, schema], flowing_world().folded.facts(PIPELINE).spec)
    assert found
    assert found.shown("events", {"age": 3}) == {"age": MASK}
    assert found.shown("predictions", {"entity": "me", "event_id": "e", "epoch": 1}) == {
        "entity": MASK,
        "event_id": MASK,
        "epoch": 1,
    }
    assert found.hides_feature("age")


def test_where_the_specification_cannot_be_read_nothing_made_of_private_fields_is_shown() -> None:
    """A newer Freshet wrote it: which features are made of which field is not known."""
    found = private_fields([EVENT_SCHEMA], None)
    assert found.masked({"salary": 1.0, "age": 3}) == {"salary": MASK, "age": 3}
    assert found.hides_feature("age")
    assert found.copied == ALL.copied
    assert not private_fields([EVENT_SCHEMA.replace(', "private": true', "")], None)
