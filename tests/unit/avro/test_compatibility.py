"""Two versions of a schema live side by side only if each reads what the other wrote, with the same meaning."""

from typing import Any

import pytest

from freshet.avro.compatibility import incompatibilities


def record(*fields: dict[str, Any], name: str = "Payment") -> dict[str, Any]:
    """An event schema with these fields after an id."""
    return {
        "type": "record",
        "name": name,
        "namespace": "shop",
        "fields": [{"name": "id", "type": "string"}, *fields],
    }


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    """A field of a record."""
    return {"name": name, "type": kind, **more}


MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
MICROS = {"type": "long", "logicalType": "timestamp-micros"}
PRICE = {"type": "fixed", "name": "Price", "size": 4, "logicalType": "decimal", "precision": 9}


@pytest.mark.parametrize(
    ("new", "old"),
    [
        pytest.param(record(field("a", "int")), record(field("a", "int", doc="said better")), id="docs"),
        pytest.param(record(field("a", "int", default=0)), record(), id="added with a default"),
        pytest.param(record(), record(field("a", "int", default=0)), id="removed one that had a default"),
        pytest.param(record(field("at", MILLIS)), record(field("at", MILLIS)), id="same meaning"),
    ],
)
def test_versions_that_can_live_side_by_side(new: dict[str, Any], old: dict[str, Any]) -> None:
    """Changes that either side can read over are allowed."""
    assert incompatibilities(new, old) == []


@pytest.mark.parametrize(
    ("new", "old", "said"),
    [
        pytest.param(record(field("a", "int")), record(), "missing default", id="added without a default"),
        pytest.param(record(), record(field("a", "int")), "missing default", id="removed without a default"),
        pytest.param(record(field("a", "long")), record(field("a", "int")), "mismatch", id="promoted, one way only"),
        pytest.param(record(name="Payments"), record(), "mismatch", id="renamed"),
        pytest.param(record(field("at", MICROS)), record(field("at", MILLIS)), "timestamp-micros", id="new unit"),
        pytest.param(
            record(field("at", ["null", MICROS], default=None)),
            record(field("at", ["null", MILLIS], default=None)),
            "timestamp-micros",
            id="new unit in a union",
        ),
        pytest.param(
            record(field("ats", {"type": "array", "items": MILLIS})),
            record(field("ats", {"type": "array", "items": "long"})),
            "a plain long",
            id="a meaning where there was none",
        ),
        pytest.param(
            record(field("price", {**PRICE, "scale": 2})),
            record(field("price", PRICE)),
            "decimal(9, 2)",
            id="new scale",
        ),
        pytest.param(
            record(field("kind", {"type": "enum", "name": "K", "symbols": ["a", "b"]})),
            record(field("kind", {"type": "enum", "name": "K", "symbols": ["a"]})),
            "enum symbols",
            id="symbol without a default",
        ),
    ],
)
def test_versions_that_cannot(new: dict[str, Any], old: dict[str, Any], said: str) -> None:
    """What one side could not read, or would read as something else, is refused, whichever comes first."""
    assert said in " ".join(incompatibilities(new, old))
    assert incompatibilities(old, new)
