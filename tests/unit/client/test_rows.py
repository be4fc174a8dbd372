"""Python values as events: what fits is read, what does not is named, and nothing is guessed."""

import itertools
import json
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from freshet.client import RowError
from freshet.client.python_rows import event_columns
from freshet.operate.event_values import plain
from freshet.operate.tables.scaffold import infer_pipeline
from freshet.pipeline import PipelineSpec

SPEC = PipelineSpec.parse(
    """
pipeline: orders
entity: customer.id
event_id: order
event_time: at
features: {version: 1, columns: [{kind: field, of: amount}]}
target: {classes: [good, bad]}
"""
)
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "order", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {
            "name": "customer",
            "type": {"type": "record", "name": "Customer", "fields": [{"name": "id", "type": "string"}]},
        },
        {"name": "amount", "type": "double"},
        {"name": "items", "type": "int", "default": 1},
        {"name": "paid", "type": ["null", "boolean"], "default": None},
        {"name": "channel", "type": {"type": "enum", "name": "Channel", "symbols": ["web", "shop"]}},
    ],
}
ROW = {"customer": {"id": "c1"}, "amount": 3.5, "channel": "web"}


class Frame:
    """As much of a DataFrame as is needed."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self._columns, self.columns = columns, list(columns)

    def __getitem__(self, name: str) -> Any:
        return self._columns[name]


class NAType:
    """What pandas puts where there is nothing."""


def values(rows: Any) -> dict[str, list[Any]]:
    ids = itertools.count(1)
    made = event_columns(rows, SPEC, SCHEMA, now_ms=5, new_id=lambda: f"id-{next(ids)}")
    return {name: plain(column) for name, column in made.items()}


def test_what_is_left_out_is_filled_in() -> None:
    """Ids, the time of now in the field's unit, defaults and nulls."""
    assert values([ROW, {**ROW, "paid": True}]) == {
        "order": ["id-1", "id-2"],
        "at": [5000, 5000],
        "customer.id": ["c1", "c1"],
        "amount": [3.5, 3.5],
        "items": [1, 1],
        "paid": [None, True],
        "channel": ["web", "web"],
    }


def test_defaults_are_those_that_a_reader_of_the_schema_would_see() -> None:
    """Bytes are written as text in a schema, one character for each; a nested record's field has a default, too."""
    inner = {"type": "record", "name": "Source", "fields": [{"name": "shop", "type": "int", "default": 7}]}
    more = [{"name": "tag", "type": "bytes", "default": "\u00ff"}, {"name": "source", "type": inner}]
    schema = {**SCHEMA, "fields": [*SCHEMA["fields"], *more]}
    made = event_columns([ROW], SPEC, schema, now_ms=5, new_id=lambda: "id")
    assert made["tag"].tobytes() == [b"\xff"]
    assert made["source.shop"].tolist() == [7]


def test_columns_and_frames_give_the_same_events_as_dicts() -> None:
    """Numpy's values and pandas' nothing included."""
    columns = {
        "order": np.array(["a", "b"]),
        "customer.id": ["c1", "c2"],
        "amount": np.array([1, 2]),
        "paid": [np.True_, NAType()],
        "items": np.array([2.0, 3.0]),
        "channel": ["web", "shop"],
    }
    rows = [
        {"order": "a", "customer": {"id": "c1"}, "amount": 1.0, "paid": True, "items": 2, "channel": "web"},
        {"order": "b", "customer": {"id": "c2"}, "amount": 2.0, "paid": None, "items": 3, "channel": "shop"},
    ]
    assert values(columns) == values(Frame(columns)) == values(rows)
    assert values([]) == {name: [] for name in values(rows)}


@pytest.mark.parametrize(
    "moment",
    [
        1_000_001,
        datetime(1970, 1, 1, 0, 0, 1, 1),
        datetime(1970, 1, 1, 2, 0, 1, 1, timezone(timedelta(hours=2))),
        datetime(1970, 1, 1, 0, 0, 1, 1, UTC),
        np.datetime64("1970-01-01T00:00:01.000001"),
        "1970-01-01T00:00:01.000001Z",
        "1970-01-01T02:00:01.000001+02:00",
    ],
)
def test_times_become_the_fields_own_unit(moment: Any) -> None:
    """Microseconds here, to the last digit."""
    assert values([{**ROW, "at": moment}])["at"] == [1_000_001]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"amount": "3.5"}, "row 0: field 'amount' holds '3.5', which is not a number"),
        ({"amount": True}, "row 0: field 'amount' holds True, which is not a number"),
        ({"items": 2.5}, "row 0: field 'items' holds 2.5, which is not a whole number"),
        ({"items": 1 << 40}, "field 'items' cannot hold these values"),
        ({"items": None}, "row 0: field 'items' has no value, and may not be null"),
        ({"paid": 1}, "row 0: field 'paid' holds 1, which is not True or False"),
        ({"channel": "phone"}, "row 0: field 'channel' holds 'phone', which is not one of its symbols"),
        ({"at": "yesterday"}, "row 0: field 'at' holds 'yesterday', which is not a time"),
        ({"customer": {"id": 7}}, "row 0: field 'customer.id' holds 7, which is not text"),
        ({"ammount": 1}, "the event has no field 'ammount': did you mean 'amount'"),
        ({"customer": {"idd": "c1"}}, "the event has no field 'customer.idd': did you mean 'customer.id'"),
        ({"amount": {"net": 1}}, "row 0: field 'amount' holds an object"),
    ],
)
def test_a_value_that_does_not_fit_is_named(row: dict[str, Any], told: str) -> None:
    """Row, field and value; nothing is rounded or read as something else."""
    with pytest.raises(RowError) as refused:
        values([{**ROW, **row}])
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (ROW, "give a single row as [row]"),
        ({"amount": [1.0], "channel": []}, "not of one length"),
        ([ROW, 3], "row 1 is a int"),
        ([{"amount": 1.0}], "customer.id, channel are missing: every event of orders needs them"),
        ([ROW, {"amount": 1.0}], "row 1: fields 'customer.id', 'channel' have no value, and may not be null"),
    ],
)
def test_what_is_no_table_is_refused(rows: Any, told: str) -> None:
    """With the form that is wanted."""
    with pytest.raises(RowError) as refused:
        values(rows)
    assert told in str(refused.value)


@pytest.mark.parametrize("rows", [[{"amount": 1.0, "channel": "web"}], [ROW, {**ROW, "customer": {"id": None}}]])
def test_who_lacks_the_entity_learns_what_it_is(rows: Any) -> None:
    """A table may have had none: then `replay` made some up, which nobody who predicts could know."""
    with pytest.raises(RowError) as refused:
        values(rows)
    assert refused.value.field == "customer.id"
    assert "'customer.id' is the entity, whom or what the event is about: take one of yours." in str(refused.value)
    assert "makes up customer.id-0 to customer.id-99." in str(refused.value)


@pytest.mark.parametrize(
    "rows",
    [
        [{"k" * 500_000: {str(number): 1 for number in range(1_000)}}],
        [{f"n{number}": 1 for number in range(20_000)}, *[{}] * 99],
    ],
    ids=["a long name around many", "many names beside many rows"],
)
def test_unknown_names_are_refused_before_they_are_multiplied(rows: list[dict[str, Any]]) -> None:
    """A few bytes of each could become gigabytes; the message repeats no long name."""
    tracemalloc.start()
    try:
        with pytest.raises(RowError, match="has no field") as refused:
            values(rows)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert len(str(refused.value)) < 400
    assert len(refused.value.field) < 200


def test_a_tables_own_titles_are_taken() -> None:
    """As `pipeline new` found them in the table; both names of a field at once, or another title, are refused."""
    header = ["Vorgangs-Nr.", "Größe (kB)", "user.tier", "y"]
    table = [[f"V{n}", f"{n}.5", ("gold", "iron")[n % 2], "ab"[n % 2]] for n in range(60)]
    guess = infer_pipeline("sizes", header, table, "y")
    spec, schema = PipelineSpec.parse(guess.pipeline), json.loads(guess.event)

    def found(row: dict[str, Any]) -> dict[str, list[Any]]:
        made = event_columns([row], spec, schema, now_ms=5, new_id=lambda: "new")
        return {name: plain(column) for name, column in made.items()}

    by_title = found({"Größe (kB)": 1.5, "user": {"tier": "gold"}, "entity": "e", "Vorgangs-Nr.": "V1"})
    assert by_title == found({"Groesse_kB": 1.5, "user_tier": "gold", "entity": "e", "Vorgangs_Nr": "V1"})
    with pytest.raises(RowError, match=r"'Groesse_kB' is there twice, under its name and as 'Größe \(kB\)'"):
        found({"Groesse_kB": 1.5, "Größe (kB)": 1.5, "user_tier": "gold", "entity": "e"})
    with pytest.raises(RowError, match=r"no field 'Größe \(MB\)': did you mean 'Größe \(kB\)'"):
        found({"Größe (MB)": 1.5, "user_tier": "gold", "entity": "e"})
