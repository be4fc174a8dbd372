"""Lint: every unsafe schema is refused with a path and a sentence; every schema that we ship is safe."""

import json
import time
from typing import Any

import pytest

from freshet.avro import lint
from freshet.avro.parsing import parse
from freshet.contracts.shipped import schemas_dir


def record(*types: Any, name: str = "R") -> dict[str, Any]:
    return {
        "type": "record",
        "name": name,
        "fields": [{"name": "abcdefghij"[index], "type": kind} for index, kind in enumerate(types)],
    }


def nested(depth: int) -> Any:
    kind: Any = "long"
    for _ in range(depth):
        kind = {"type": "array", "items": kind}
    return kind


def doubling(levels: int) -> dict[str, Any]:
    """A schema of 2**levels empty records in a few hundred bytes."""
    kind: Any = record(name="Leaf")
    for level in range(levels):
        kind = record(kind, f"{'Leaf' if level == 0 else f'L{level - 1}'}", name=f"L{level}")
    return record(kind)


RECURSIVE = record(["null", "R"])
MUTUAL = record(record({"type": "array", "items": "R"}, name="Inner"))
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 9}

UNSAFE: list[tuple[str, Any, str]] = [
    ("recursion", RECURSIVE, "schema.a|1: R contains itself"),
    ("recursion through a record", MUTUAL, "schema.a.a[]: R contains itself"),
    ("array of null", record({"type": "array", "items": "null"}), "schema.a: array items can take no bytes"),
    ("map of null", record({"type": "map", "values": "null"}), "schema.a: map values can take no bytes"),
    (
        "array of empty records",
        record({"type": "array", "items": record(name="Empty")}),
        "schema.a: array items can take no bytes",
    ),
    (
        "array of records of nulls",
        record({"type": "array", "items": record("null", "null", name="Nulls")}),
        "schema.a: array items can take no bytes",
    ),
    ("fixed over 64 KiB", record({"type": "fixed", "name": "F", "size": 65_537}), "schema.a: a fixed of 65537 bytes"),
    ("fixed of 0", record({"type": "fixed", "name": "F", "size": 0}), "schema.a: a fixed of 0 bytes"),
    ("decimal as bytes", record(DECIMAL), "schema.a: a decimal as bytes has no bounded value"),
    ("unknown type", record("strng"), "schema.a: 'strng' is not a type of Avro"),
    ("no type", record({"items": "long"}), "schema.a: None is not an Avro type"),
    ("used before defined", record(["null", "E"], {"type": "enum", "name": "E", "symbols": ["X"]}), "schema.a|1: 'E'"),
    ("defined twice", record(record(name="T"), record(name="T")), "schema.b: T is defined twice"),
    (
        "field twice",
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}] * 2},
        "schema: 'a' is not",
    ),
    ("field with a dot", {"type": "record", "name": "R", "fields": [{"name": "a.b", "type": "int"}]}, "schema: 'a.b'"),
    ("union in a union", record(["null", ["null", "long"]]), "schema.a: a union needs branches"),
    ("union of the same", record(["long", "long"]), "schema.a: a union needs branches"),
    ("enum without symbols", record({"type": "enum", "name": "E", "symbols": []}), "schema.a: an enum needs symbols"),
    ("enum with a symbol twice", record({"type": "enum", "name": "E", "symbols": ["X", "X"]}), "schema: is not valid"),
    ("nested too deep", record(nested(40)), "is nested more than 32 deep"),
    ("nested without end", '{"type":' * 100_000, "schema: cannot be read"),
    ("exponential", doubling(25), "types, more than 16384"),
    ("not JSON", "{", "schema: cannot be read"),
    ("not a record", {"type": "array", "items": "long"}, "schema: a message must be a record, not array"),
    ("type in a type", record({"type": {"type": "long"}}), "schema.a: {'type': 'long'} is wrapped in another `type`"),
    ("not a schema", 7, "schema: 7 is not an Avro type"),
    (
        "default of another type",
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int", "default": 1 << 40}]},
        "schema.a: the default does not fit",
    ),
]


@pytest.mark.parametrize(("schema", "sentence"), [row[1:] for row in UNSAFE], ids=[row[0] for row in UNSAFE])
def test_unsafe_schema_is_refused(schema: Any, sentence: str) -> None:
    """Lint says where and why, in a sentence."""
    problems = lint(schema)
    assert any(sentence in problem for problem in problems), problems
    assert all(problem.endswith(".") for problem in problems)


def test_a_private_mark_is_true_or_false() -> None:
    """Whoever writes "yes" means it; what is published already is decoded all the same."""
    schema = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int", "private": "yes"}]}
    assert lint(schema) == ["schema.a: `private` must be true or false, not 'yes'."]
    assert parse(schema).fields[0].name == "a"
    schema["fields"] = [{"name": "a", "type": "int", "private": True}]
    assert lint(schema) == []


def test_all_problems_are_listed() -> None:
    """One look shows everything that is wrong, not the first thing only."""
    assert len(lint(record("strng", DECIMAL, {"type": "array", "items": "null"}))) == 3


def test_safe_schema_has_no_problems() -> None:
    """Everything that we decode passes: optional and named types, maps, logical types, defaults of every kind."""
    schema = {
        "type": "record",
        "name": "Event",
        "namespace": "org.example",
        "fields": [
            {"name": "id", "type": {"type": "fixed", "name": "Id", "size": 16}, "default": "\u0000" * 16},
            {"name": "other", "type": "Id"},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            {"name": "price", "type": {"type": "fixed", "name": "Price", "size": 8, "logicalType": "decimal"}},
            {"name": "score", "type": ["null", "double"], "default": None},
            {"name": "tags", "type": {"type": "map", "values": "string"}, "default": {"k": "v"}},
            {"name": "inner", "type": {"type": "record", "name": "Inner", "fields": [
                {"name": "n", "type": "int", "default": 1},
            ]}, "default": {}},
        ],
    }  # fmt: skip
    assert lint(schema) == []
    assert lint(json.dumps(schema)) == []


@pytest.mark.parametrize("path", sorted(schemas_dir().rglob("*.avsc")), ids=lambda path: path.stem)
def test_shipped_schema_is_safe(path: Any) -> None:
    """Our own schemas, current and historical, pass our own lint."""
    assert lint(path.read_text()) == []


def test_the_cost_of_a_wide_record_grows_with_its_width() -> None:
    """A table of thousands of columns is parsed some twenty times on its way to a pipeline."""

    def seconds(width: int) -> float:
        fields = [{"name": f"column_{at}", "type": "long"} for at in range(width)]
        begun = time.process_time()
        parse({"type": "record", "name": "Wide", "fields": fields})
        return time.process_time() - begun

    narrow, wide = min(seconds(500) for _ in range(5)), seconds(8_000)
    assert wide < 16 * 5 * narrow  # it was 16 * 16 times as much
