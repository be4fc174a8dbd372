"""The two ways to read JSON events agree on every value, good, unusual or wrong: on columns, refusals and reasons."""

import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freshet.ingestion.core.decoders.json import JsonDecoder
from support.columns import bits, damages

Draw = Callable[[st.SearchStrategy[Any]], Any]
Json = dict[str, Any]

thorough = settings(deadline=None, max_examples=400)

ODD: Final = [
    "null", "true", "false", "NaN", "Infinity", "-Infinity", "nan", "0", "-0", "-0.0", "01", "+1", "1.", ".5", "1e5",
    "3.0", "4e1", "1E400", "1e-400", "2147483647", "2147483648", "-2147483649", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "18446744073709551616", "9007199254740993",
    "3.4028234663852886e38", "3.4028235677973366e38", "123456789012345678901234567890.0", "{}", "[]", "[1]", "'a'",
    '""', '"A"', '"S0"', '"\\u00e9"', '"é"', '"😀"', '"\\ud800"', '"a\\"b"', '"2026-05-01T12:00:00Z"', '"3"',
    '"2026-05-01"', '"2026-05-01T12:00:00"', '"2026-13-01T12:00:00Z"', '"20260501"', '"2026-W18-5"',
    '"9999-12-31T23:59:59.9-23:59"', '{"a":1,"a":2}', '{"x":"y"}',
]  # fmt: skip
WRITTEN: Final = st.one_of(
    st.sampled_from([*ODD, "", '"\t"', '"\x7f"', '"a b"', *("9" * digits for digits in (40, 400, 4400))]),
    st.integers(-(1 << 70), 1 << 70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.text(max_size=8).map(json.dumps),
    st.text(max_size=8).map(lambda text: json.dumps(text, ensure_ascii=False)),
)
"""A member's value as it may stand in the text, right or wrong."""

FITTING: Final[dict[str, st.SearchStrategy[str]]] = {
    "null": st.just("null"),
    "boolean": st.sampled_from(["true", "false"]),
    "int": st.integers(-(1 << 31), (1 << 31) - 1).map(str),
    "long": st.integers(-(1 << 63), (1 << 63) - 1).map(str),
    "float": st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr),
    "double": st.one_of(
        st.floats(allow_nan=False, allow_infinity=False).map(repr), st.integers(-(1 << 200), 1 << 200).map(str)
    ),
    "string": st.one_of(
        st.text(st.characters(codec="utf-8", exclude_characters='"'), max_size=8).map(json.dumps),
        st.text(st.characters(codec="utf-8", exclude_characters='"\\', min_codepoint=32), max_size=8).map(
            '"{}"'.format
        ),
    ),
}
"""Values that the fast way takes."""

ZONES: Final = st.sampled_from(["Z", "+00:00", "-05:30", "+14:00"])
MOMENTS: Final = st.builds(lambda at, zone: f'"{at.isoformat()}{zone}"', st.datetimes(), ZONES)
LOGICAL: Final[dict[str, tuple[str, st.SearchStrategy[str]]]] = {
    "timestamp-millis": ("long", st.one_of(FITTING["long"], MOMENTS)),
    "timestamp-micros": ("long", st.one_of(FITTING["long"], MOMENTS)),
    "date": ("int", st.one_of(FITTING["int"], st.dates().map(lambda day: f'"{day.isoformat()}"'))),
    "time-millis": ("int", FITTING["int"]),
}


@st.composite
def flat_schemas(draw: Draw) -> tuple[Json, list[Json], list[st.SearchStrategy[str]]]:
    """A schema, its fields, and for each what a well-behaved producer writes."""
    fields, values = [], []
    for index in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from([*FITTING, "enum", *LOGICAL]))
        fitting = LOGICAL[kind][1] if kind in LOGICAL else FITTING.get(kind, st.sampled_from(['"S0"', '"S1"']))
        schema: Any = kind
        if kind == "enum":
            schema = {"type": "enum", "name": f"T{index}", "symbols": ["S0", "S1"]}
        elif kind in LOGICAL:
            schema = {"type": LOGICAL[kind][0], "logicalType": kind}
        field: Json = {"name": f"f{index}", "type": schema}
        if kind != "null" and draw(st.booleans()):
            field["type"] = ["null", schema] if draw(st.booleans()) else [schema, "null"]
            fitting = st.one_of(st.just("null"), fitting)
            if draw(st.booleans()):
                field["default"] = None
        elif kind == "string" and draw(st.booleans()):
            field["default"] = "é"
        fields.append(field)
        values.append(fitting)
    return {"type": "record", "name": "E", "fields": fields}, fields, values


@st.composite
def events(draw: Draw) -> tuple[Json, list[bytes]]:
    """A schema of plain fields, and events that fit it, nearly fit it, or are no JSON at all."""
    schema, fields, values = draw(flat_schemas())
    made = []
    for _ in range(draw(st.integers(1, 4))):
        members = [
            (field["name"], draw(fitting if draw(st.integers(0, 4)) else WRITTEN))
            for field, fitting in zip(fields, values, strict=True)
            if "default" not in field or draw(st.booleans())
        ]
        for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
            name = draw(st.sampled_from([*(field["name"] for field in fields), "x", "y", "f\\u0030", "é", ""]))
            members.insert(draw(st.integers(0, len(members))), (name, draw(WRITTEN)))
        if not draw(st.integers(0, 9)) and members:
            members.pop(draw(st.integers(0, len(members) - 1)))
        space = draw(st.sampled_from(["", "", " ", "\n", "\t", "\x0c", "\u00a0"]))
        text = "{" + f",{space}".join(f'"{name}"{space}:{value}' for name, value in members) + "}" + space
        value = text.encode(errors="surrogatepass")
        made.append(value if draw(st.integers(0, 4)) else draw(damages(value)))
    return schema, made


def both_ways(schema: Json, *, ignore_unknown: bool) -> tuple[JsonDecoder, JsonDecoder]:
    """A decoder as it is, and one that has only the slow way."""
    fast, slow = (JsonDecoder({1: schema}, schema, max_bytes=5000, ignore_unknown=ignore_unknown) for _ in range(2))
    slow._fast = None
    return fast, slow


def told(decoder: JsonDecoder, values: list[bytes]) -> Any:
    """All that a decoder says: values, verdicts and sentences."""
    rows = decoder.read(values)
    return {name: bits(column) for name, column in rows.columns.items()}, rows.at.tolist(), rows.refused


@thorough
@given(events(), st.booleans())
def test_both_ways_agree(made: tuple[Json, list[bytes]], ignore_unknown: bool) -> None:
    """Members written twice, escapes, huge numbers, NaN, odd bytes, missing and unknown members: one verdict."""
    schema, values = made
    fast, slow = both_ways(schema, ignore_unknown=ignore_unknown)
    assert fast._fast is not None
    assert told(fast, values) == told(slow, values)


@thorough
@given(flat_schemas(), st.data())
def test_the_fast_way_takes_what_producers_write(
    made: tuple[Json, list[Json], list[st.SearchStrategy[str]]], data: st.DataObject
) -> None:
    """An event in its plainest form does not meet the slow way, with or without the members that have defaults."""
    schema, fields, values = made
    fast = both_ways(schema, ignore_unknown=False)[0]._fast
    assert fast is not None
    text = ", ".join(f'"{field["name"]}": {data.draw(of)}' for field, of in zip(fields, values, strict=True))
    assert fast.read(f"{{{text}}}".encode()) is not None


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 1}',
        '{"a": 1, "b": "x", "b": "x"}',
        '{"a": 1, "b": null, "b": "x"}',
        '{"a": 1, "b": "x", "b": null}',
        '{"a": 1, "b": "x", "\\u0062": "x"}',
        '{"a": 1, "z": "x", "z": 1}',
        '{"a": 1, "z": {"y": 1, "y": 2}}',
    ],
)
@pytest.mark.parametrize("ignore_unknown", [False, True])
def test_a_member_that_is_written_twice_is_refused(text: str, ignore_unknown: bool) -> None:
    """Which one was meant is not known; the parser of the fast way alone would take the last."""
    fields = [{"name": "a", "type": "int"}, {"name": "b", "type": ["null", "string"], "default": None}]
    schema = {"type": "record", "name": "E", "fields": fields}
    rows = both_ways(schema, ignore_unknown=ignore_unknown)[0].read([text.encode()])
    assert [row.detail for row in rows.refused] == ["this is not JSON as RFC 8259 has it: a key is written twice."]
