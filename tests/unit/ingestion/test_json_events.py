"""JSON events, held to event.avsc without guessing."""

import json
from typing import Any

import pytest

from freshet.avro import Decoder, Objects
from freshet.ingestion.core.decoders.json import JsonDecoder
from support.ingestion import NOW_MS, SPEC_TEXT, batch, dead, framed, loan, serving, written

JSON_TEXT = SPEC_TEXT.replace("entity: applicant", "entity: applicant\ndecoder: json")


def as_json(**but: Any) -> bytes:
    """An application as a JSON producer writes it."""
    return json.dumps(loan(**but), ensure_ascii=False).encode()


def test_json_and_avro_give_the_same_features() -> None:
    """The wire format is the producer's affair: nothing after the decoder can tell."""
    facts = [loan(event_id=f"é{row}", salary=row / 7, loan=float(row), age=20 + row) for row in range(50)]
    from_json = serving(JSON_TEXT).on_batch(batch([as_json(**row) for row in facts]))
    from_avro = serving().on_batch(batch([framed(row) for row in facts]))
    assert written(from_json) == written(from_avro)


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (as_json(age=40.0), loan()),
        (as_json().replace(b'"age": 40', b'"age": 4e1'), loan()),
        (as_json(at="2025-06-15T15:06:40Z"), loan()),
        (as_json(at="2025-06-15T17:06:40.000999999+02:00"), loan()),
        (as_json(at=float(NOW_MS)), loan()),
    ],
)
def test_other_forms_with_one_meaning_are_read(value: bytes, meant: dict[str, Any]) -> None:
    """JSON has one type of number, and most producers write times as ISO 8601: the same vector as the plain form."""
    assert written(serving(JSON_TEXT).on_batch(batch([value]))) == written(serving().on_batch(batch([framed(meant)])))


def test_unknown_fields_are_passed_over_where_the_pipeline_says_so() -> None:
    """At every depth; a field that is missing, or not of its type, is still refused."""
    text = JSON_TEXT.replace("decoder: json", "decoder: json\nunknown_fields: ignore")
    effects = list(serving(text).on_batch(batch([as_json(extra=1), as_json(extra=1, age="x"), as_json()])))
    assert len(written(effects)) == 2
    assert dead(effects)[1].detail.startswith("age:")
    nested_text = RICH_SPEC.replace("decoder: json", "decoder: json\nunknown_fields: ignore")
    assert len(written(serving(nested_text, RICH).on_batch(batch([rich(place={"x": 1, "y": {"z": 2}})])))) == 1


@pytest.mark.parametrize("number", [0.1, 1.0000000596046448, 3.4028234663852886e38, 1e-46])
def test_a_float_that_is_no_column_has_32_bits_too(number: float) -> None:
    """A wider union is read value by value: the number is the one that an Avro producer would have written."""
    schema = {"type": "record", "name": "E", "fields": [{"name": "x", "type": ["null", "string", "float"]}]}
    values = JsonDecoder({1: schema}, schema, max_bytes=999).read([json.dumps({"x": number}).encode()]).columns["x"]
    from_avro = Decoder(schema).decode([framed({"x": number}, schema)]).columns["x"]
    assert isinstance(values, Objects)
    assert isinstance(from_avro, Objects)
    assert values.values == from_avro.values


def test_the_cap_is_on_the_bytes_of_the_event() -> None:
    """An event of 61 bytes may hold ten doubles, which are 80 bytes to Avro: it is as large as it was sent."""
    schema = {"type": "record", "name": "E", "fields": [{"name": name, "type": "double"} for name in "abcdefghij"]}
    value = json.dumps(dict.fromkeys("abcdefghij", 0), separators=(",", ":")).encode()
    rows = JsonDecoder({1: schema}, schema, max_bytes=len(value)).read([value])
    assert (rows.at.tolist(), rows.refused) == ([0], [])


def without(name: str) -> bytes:
    """An application that lacks a field."""
    return json.dumps({key: value for key, value in loan().items() if key != name}).encode()


@pytest.mark.parametrize(
    ("value", "reason", "said"),
    [
        (None, "input_empty", "null"),
        (b"", "input_empty", "no bytes"),
        (b" " * 70_000, "input_too_large", "the cap is 65536"),
        (framed(loan()), "input_framing", "Avro or Protobuf"),
        (b"\0\0\0\0\7" + as_json(), "input_framing", "schema id 7, as a serializer for JSON Schema"),
        (b"[1]", "input_malformed", "must be an object, not [1]"),
        (as_json()[:-1], "input_malformed", "not JSON"),
        (as_json() + b"{}", "input_malformed", "not JSON"),
        ("\ufeff{}".encode(), "input_malformed", "not JSON"),
        (json.dumps(loan()).encode("utf-16"), "input_malformed", "not JSON"),
        (as_json(salary=float("nan")), "input_malformed", "NaN is no JSON number"),
        (
            as_json().replace(b"50000.0", b"1e400"),
            "input_malformed",
            "salary: must be a number within the range of double",
        ),
        (as_json(age=2**31), "input_malformed", "age: must be a whole number of 32 bits, not 2147483648."),
        (as_json(age=40.5), "input_malformed", "age: must be a whole number of 32 bits, not 40.5."),
        (as_json(age=1e20), "input_malformed", "age: must be a whole number of 32 bits, not 1e+20."),
        (as_json(age="40"), "input_malformed", "age: must be a whole number of 32 bits, not '40'."),
        (as_json(at="2025-06-15T15:06:40"), "input_malformed", "at: must be a time with its offset from UTC"),
        (as_json(at="15.6.2025"), "input_malformed", "at: must be a time such as"),
        (as_json(at="9999-12-31T23:59:59Z"), "input_event_time", "9999"),
        (as_json(age=True), "input_malformed", "age: must be a whole number of 32 bits, not True."),
        (as_json(salary="1"), "input_malformed", "salary: must be a number within the range of double, not '1'."),
        (as_json(applicant=None), "input_malformed", "applicant: must be text, not None."),
        (
            as_json(applicant="x").replace(b'"x"', b'"\\ud800"'),
            "input_malformed",
            "applicant: must be text that utf-8 can",
        ),
        (without("car"), "input_malformed", "key 'car' is missing."),
        (b'{"age": 40, "car": 3}', "input_malformed", "keys 'event_id', 'applicant', 'at', "),
        (as_json(extra=1), "input_malformed", "key 'extra' is not a field of freshet.loans.LoanApplication."),
        (as_json().replace(b'"age"', b'"car": 1, "age"'), "input_malformed", "a key is written twice"),
        (b'{"a":' * 5000, "input_malformed", "nested deeper"),
        (b'{"age": ' + b"9" * 5000 + b"}", "input_malformed", "not JSON"),
        (as_json(age=17), "input_range", "age is 17"),
    ],
)
def test_bad_json_is_set_aside(value: bytes | None, reason: str, said: str) -> None:
    """One dead letter that names the field; the neighbours are answered."""
    effects = list(serving(JSON_TEXT).on_batch(batch([as_json(event_id="a"), value, as_json(event_id="b")])))
    assert [row.record["event_id"] for row in written(effects)] == ["a", "b"]
    assert dead(effects)[1].reason == reason
    assert said in dead(effects)[1].detail


RICH: dict[str, Any] = {
    "type": "record",
    "name": "Rich",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "at", "type": "long"},
        {"name": "size", "type": ["null", "float"], "default": None},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}, "default": "B"},
        {"name": "place", "type": {"type": "record", "name": "Place", "fields": [{"name": "x", "type": "double"}]}},
        {"name": "tag", "type": {"type": "fixed", "name": "Tag", "size": 2}, "default": "\u00ff\u0000"},
        {"name": "either", "type": ["null", "long", "string", {"type": "map", "values": "int"}], "default": None},
        {"name": "many", "type": {"type": "array", "items": "boolean"}, "default": []},
    ],
}
RICH_SPEC = """
pipeline: loans
entity: id
event_id: id
event_time: at
decoder: json
max_event_age: 3650d
features:
  version: 1
  columns:
    - {kind: field, of: size}
    - {kind: field, of: place.x}
    - {kind: one_hot, of: kind, vocabulary: [A, B]}
target: {kind: value}
"""


def rich(**but: Any) -> bytes:
    """A small event of every type."""
    return json.dumps({"id": "r", "at": 1_740_000_000_000, "place": {"x": 2}, **but}).encode()


@pytest.mark.parametrize("either", [None, 3, "three", {"a": 1}])
def test_missing_fields_take_their_defaults(either: object) -> None:
    """Avro's defaults, also for enums and bytes; a union's value is written as it is."""
    logic = serving(RICH_SPEC, RICH)
    effects = list(logic.on_batch(batch([rich(), rich(kind="A", size=0.5, either=either, many=[True])])))
    assert dead(effects) == {}
    first, second = (row.record["values"] for row in written(effects))
    assert str(first[0]) == "nan"
    assert (first[1:], second) == ([2.0, 0.0, 1.0], [0.5, 2.0, 1.0, 0.0])


@pytest.mark.parametrize(
    ("but", "said"),
    [
        (
            {"size": 3.5e38},
            "size: fits no branch: must be null, not 3.5e+38. must be a number within the range of float",
        ),
        ({"place": {"x": 1, "y": 2}}, "place: key 'y' is not a field of Place."),
        ({"place": {"x": "1"}}, "place.x: must be a number"),
        ({"kind": "C"}, "kind: must be one of A, B, not 'C'."),
        ({"tag": "abc"}, "tag: must be 2 bytes, not 'abc'."),
        ({"tag": "€x"}, "tag: must be text that latin-1 can hold"),
        ({"either": 1.5}, "either: fits no branch"),
        ({"many": [True, 1]}, "many.1: must be true or false, not 1."),
    ],
)
def test_nested_faults_are_named_where_they_are(but: dict[str, Any], said: str) -> None:
    """The path leads to the value that is wrong."""
    effects = list(serving(RICH_SPEC, RICH).on_batch(batch([rich(**but)])))
    assert said in dead(effects)[0].detail


@pytest.mark.parametrize("levels", [0, 1, 3])
def test_no_depth_of_nesting_ends_the_service(levels: int) -> None:
    """Whatever depth an event has, it becomes one refused row: parsing, checking and quoting it all have their limits.

    The depths cover those at which the parser still manages and the checks, which stand deeper on the stack, do not.
    """
    decoder = JsonDecoder({1: nested_schema(levels)}, nested_schema(levels), max_bytes=1 << 20)
    depths = range(600, 1010, 3)
    events = [json.dumps({"id": "a"})[:-1].encode() + b', "x": ' + nested(levels, depth) + b"}" for depth in depths]
    rows = decoder.read(events)
    assert [row.row for row in rows.refused] == list(range(len(events)))
    assert all(len(row.detail) < 400 for row in rows.refused)


def nested_schema(levels: int) -> dict[str, Any]:
    """An event whose nullable field holds records within records."""
    kind: Any = "double"
    for level in range(levels, 0, -1):
        kind = {"type": "record", "name": f"R{level}", "fields": [{"name": "x", "type": ["null", kind]}]}
    fields = [{"name": "id", "type": "string"}, {"name": "x", "type": kind}]
    return {"type": "record", "name": "E", "fields": fields}


def nested(levels: int, depth: int) -> bytes:
    """Lists within lists, inside the records of the schema."""
    value = b"[" * depth + b"]" * depth
    for _ in range(levels):
        value = b'{"x": ' + value + b"}"
    return value
