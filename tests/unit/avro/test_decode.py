"""Decoding: every kind of bad record gets its reason and hurts no other; schemas are resolved; memory stays bounded."""

import io
import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastavro import schemaless_reader

from freshet.avro import Decoder, DecodeReason, Encoder, Enum, Nullable, Objects, Ragged, Strings
from freshet.contracts.errors import SchemaError

FRAME = b"\x00\x00\x00\x00\x01"


def record(*types: Any, name: str = "R") -> dict[str, Any]:
    """A record whose fields are called a, b, c …"""
    return {
        "type": "record",
        "name": name,
        "fields": [{"name": "abcdefghij"[index], "type": kind} for index, kind in enumerate(types)],
    }


@pytest.fixture(params=["fast", "referee"])
def decoder_of(request: pytest.FixtureRequest) -> Callable[..., Decoder]:
    """Makes decoders that go the fast way however small the batch, or that have only the referee."""

    def make(schema: Any, **options: Any) -> Decoder:
        decoder = Decoder(schema, **options)
        if request.param == "fast":
            decoder._few_bytes = 0
        else:
            decoder._fast = None
        return decoder

    return make


def array(items: str) -> dict[str, str]:
    return {"type": "array", "items": items}


COLOUR = {"type": "enum", "name": "Colour", "symbols": ["RED", "BLUE"]}
MAP = {"type": "map", "values": "long"}
MINUS_ONE = b"\x01"
HUGE = b"\x80\x80\x80\x80\x80\x80\x02"  # 2**42

BAD: list[tuple[str, Any, bytes | None, DecodeReason]] = [
    ("null value", "long", None, DecodeReason.EMPTY),
    ("empty value", "long", b"", DecodeReason.EMPTY),
    ("one byte", "long", b"\x00", DecodeReason.TRUNCATED),
    ("frame without a record", "long", FRAME, DecodeReason.TRUNCATED),
    ("varint cut", "long", FRAME + b"\x80", DecodeReason.TRUNCATED),
    ("double cut", "double", FRAME + bytes(7), DecodeReason.TRUNCATED),
    ("text cut", "string", FRAME + b"\x06ab", DecodeReason.TRUNCATED),
    ("array cut", array("float"), FRAME + b"\x04" + bytes(7), DecodeReason.TRUNCATED),
    ("array without its end", array("long"), FRAME + b"\x02\x02", DecodeReason.TRUNCATED),
    ("text of 2**42 bytes", "string", FRAME + HUGE + b"ab", DecodeReason.TRUNCATED),
    ("array of 2**42 numbers", array("double"), FRAME + HUGE, DecodeReason.TRUNCATED),
    ("array of 2**42 integers", array("int"), FRAME + HUGE + bytes(9), DecodeReason.TRUNCATED),
    ("trailing byte", "long", FRAME + b"\x02\x00", DecodeReason.TRAILING),
    ("varint of 11 bytes", "long", FRAME + b"\x80" * 10 + b"\x01", DecodeReason.BAD_VARINT),
    ("varint of 65 bits", "long", FRAME + b"\xff" * 9 + b"\x02", DecodeReason.BAD_VARINT),
    ("varint of 65 bits, the 64th set", "long", FRAME + b"\xff" * 9 + b"\x03", DecodeReason.BAD_VARINT),
    ("varint padded", "long", FRAME + b"\x80\x00", DecodeReason.BAD_VARINT),
    ("varint of 9 bytes padded", "long", FRAME + b"\xff" * 8 + b"\x00", DecodeReason.BAD_VARINT),
    ("int of 33 bits", "int", FRAME + b"\x80\x80\x80\x80\x10", DecodeReason.BAD_VARINT),
    ("int of 33 bits in an array", array("int"), FRAME + b"\x02\x80\x80\x80\x80\x10\x00", DecodeReason.BAD_VARINT),
    ("lone continuation byte", "string", FRAME + b"\x02\x80", DecodeReason.BAD_UTF8),
    ("lone surrogate", "string", FRAME + b"\x06\xed\xa0\x80", DecodeReason.BAD_UTF8),
    ("overlong slash", "string", FRAME + b"\x04\xc0\xaf", DecodeReason.BAD_UTF8),
    ("half a character", "string", FRAME + b"\x02\xc3", DecodeReason.BAD_UTF8),
    ("branch -1", ["null", "long"], FRAME + MINUS_ONE, DecodeReason.BAD_INDEX),
    ("branch 2 of 2", ["null", "long"], FRAME + b"\x04\x02", DecodeReason.BAD_INDEX),
    ("branch 3 of 3", ["null", "long", "string"], FRAME + b"\x06\x02", DecodeReason.BAD_INDEX),
    ("symbol -1", COLOUR, FRAME + MINUS_ONE, DecodeReason.BAD_INDEX),
    ("symbol 2 of 2", COLOUR, FRAME + b"\x04", DecodeReason.BAD_INDEX),
    ("text of -1 bytes", "string", FRAME + MINUS_ONE, DecodeReason.BAD_LENGTH),
    ("block size too small", array("long"), FRAME + b"\x03\x02\x02\x02\x00", DecodeReason.BAD_LENGTH),
    ("block size negative", array("long"), FRAME + b"\x01\x01\x02\x00", DecodeReason.BAD_LENGTH),
    ("map block size too small", MAP, FRAME + b"\x01\x02\x02k\x02\x00", DecodeReason.BAD_LENGTH),
    ("boolean 2", "boolean", FRAME + b"\x02", DecodeReason.BAD_BOOLEAN),
    ("over the cap", "string", FRAME + bytes(65_536), DecodeReason.TOO_LARGE),
]  # fmt: skip

GOOD: dict[str, bytes] = {
    "long": b"\x0e",
    "int": b"\x0e",
    "double": bytes(8),
    "string": b"\x06\xe2\x82\xac",
    "boolean": b"\x01",
    json.dumps(array("float")): b"\x02\x00\x00\x80\x3f\x00",
    json.dumps(array("double")): b"\x00",
    json.dumps(array("long")): b"\x02\x02\x00",
    json.dumps(array("int")): b"\x02\x02\x00",
    json.dumps(["null", "long"]): b"\x02\x0e",
    json.dumps(["null", "long", "string"]): b"\x04\x02k",
    json.dumps(COLOUR): b"\x02",
    json.dumps(MAP): b"\x02\x02k\x02\x00",
}
"""A good value of each type in the table above."""


@pytest.mark.parametrize(("kind", "value", "reason"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_row_gets_its_reason_and_harms_no_other(
    decoder_of: Callable[..., Decoder], kind: Any, value: bytes | None, reason: DecodeReason
) -> None:
    """Between two good rows the bad one alone is refused, for the right reason, in a sentence; the others are read."""
    decoder = decoder_of(record(kind))
    good = FRAME + GOOD[kind if isinstance(kind, str) else json.dumps(kind)]
    decoded = decoder.decode([good, value, good])
    assert [(bad.row, bad.reason) for bad in decoded.refused] == [(1, reason)]
    assert decoded.refused[0].detail.endswith(".")
    assert decoded.at.tolist() == [0, 2]
    assert len(decoded.columns["a"]) == 2


@pytest.mark.parametrize(
    "value",
    [b'{"a": 1, "b": "x"}', b"Obj\x01\x04\x16avro.schema", bytes(range(256)), b"\x00" * 64, b"\xff" * 64],
    ids=["JSON", "container file", "all bytes", "zeros", "ones"],
)
def test_foreign_formats_are_refused(decoder_of: Callable[..., Decoder], value: bytes) -> None:
    """What is no Avro at all is refused, whatever follows the frame."""
    decoded = decoder_of(record("string", "long", array("float"), "boolean")).decode([FRAME + value])
    assert len(decoded.refused) == 1
    assert decoded.at.size == 0


def test_detail_says_where(decoder_of: Callable[..., Decoder]) -> None:
    """The sentence names the nested field, the item and the byte."""
    inner = record(array("long"), name="Inner")
    decoded = decoder_of(record("long", inner)).decode([FRAME + b"\x02\x04\x02\x80\x00\x00"])
    assert decoded.refused[0].detail == "b.a[1]: the integer at byte 8 is not in its shortest form."


@pytest.mark.parametrize(("size", "accepted"), [(99, True), (100, True), (101, False)])
def test_cap_is_the_last_size_accepted(decoder_of: Callable[..., Decoder], size: int, accepted: bool) -> None:
    """`max_bytes` counts the whole value, frame included."""
    value = FRAME + b"\xb8\x01" + bytes(size - 7)
    value = value[:5] + bytes([((size - 7) << 1) & 0x7F | 0x80, (size - 7) >> 6]) + value[7:]
    decoded = decoder_of(record("bytes"), max_bytes=100).decode([value])
    assert (decoded.at.size == 1) is accepted


def test_strange_text_is_text(decoder_of: Callable[..., Decoder]) -> None:
    """NUL, right-to-left override, an emoji and the empty string are valid UTF-8 and come back unchanged."""
    texts = ["\0", "\u202eevil", "🦀", "", "plain"]
    values = Encoder(record("string"), 1).encode({"a": Strings.from_list(texts)})
    column = decoder_of(record("string")).decode(values).columns["a"]
    assert isinstance(column, Strings)
    assert column.tolist() == texts


def test_text_split_between_rows_is_not_utf8(decoder_of: Callable[..., Decoder]) -> None:
    """Two halves of one character in neighbouring rows are both refused, although joined they would be valid."""
    decoded = decoder_of(record("string")).decode([FRAME + b"\x02\xc3", FRAME + b"\x02\xa9", FRAME + b"\x04\xc3\xa9"])
    assert [(bad.row, bad.reason) for bad in decoded.refused] == [
        (0, DecodeReason.BAD_UTF8),
        (1, DecodeReason.BAD_UTF8),
    ]


def test_every_nan_keeps_its_bits(decoder_of: Callable[..., Decoder]) -> None:
    """Signalling NaNs, NaN payloads and -0.0 come through both ways: in one block, and in two (the referee's)."""
    floats = np.array([0x7F800001, 0xFFC12345, 0x80000000, 0x00000001], np.uint32)
    raw = floats.tobytes()
    one = FRAME + b"\x08" + raw + b"\x00"
    two = FRAME + b"\x02" + raw[:4] + b"\x06" + raw[4:] + b"\x00"
    column = decoder_of(record(array("float"))).decode([one, two]).columns["a"]
    assert isinstance(column, Ragged)
    assert column.matrix(4).view(np.uint32).tolist() == [floats.tolist()] * 2


def test_rows_keep_their_order_whoever_reads_them(decoder_of: Callable[..., Decoder]) -> None:
    """Usual rows, rows that only the referee reads, and bad rows of every kind, interleaved: all come out in order."""
    usual, unusual = FRAME + b"\x04\x02\x04\x00", FRAME + b"\x02\x06\x02\x08\x00"
    decoded = decoder_of(record(array("long"))).decode([unusual, FRAME, usual, None, unusual, FRAME, usual, b""])
    assert decoded.at.tolist() == [0, 2, 4, 6]
    assert listed(decoded.columns["a"]) == [[3, 4], [1, 2], [3, 4], [1, 2]]
    assert [bad.row for bad in decoded.refused] == [1, 3, 5, 7]


@pytest.mark.parametrize(("items", "one"), [("long", b"\x02"), ("float", b"\x00\x00\x80\x3f")])
def test_array_goes_on_until_its_empty_block(decoder_of: Callable[..., Decoder], items: str, one: bytes) -> None:
    """What follows a block is the next block's count, never taken for the end: the field behind it stays its own."""
    ended, unended = FRAME + b"\x02" + one + b"\x02" + one + b"\x00\x08", FRAME + b"\x02" + one + b"\x04\x08"
    decoded = decoder_of(record(array(items), "long")).decode([ended, unended])
    assert [listed(column) for column in decoded.columns.values()] == [[[1, 1]], [4]]
    assert [(bad.row, bad.reason) for bad in decoded.refused] == [(1, DecodeReason.TRUNCATED)]


def test_bad_item_is_found_in_a_later_chunk() -> None:
    """Of 200 rows with 1,000 integers each, the one with an int over 32 bits near the end is refused, no other."""
    good = FRAME + b"\xd0\x0f" + b"\x02" * 1000 + b"\x00"
    bad = FRAME + b"\xd0\x0f" + b"\x02" * 999 + b"\x80\x80\x80\x80\x10" + b"\x00"
    decoded = Decoder(record(array("int"))).decode([good] * 150 + [bad] + [good] * 49)
    assert [refused.row for refused in decoded.refused] == [150]
    column = decoded.columns["a"]
    assert isinstance(column, Ragged)
    assert (column.matrix(1000) == 1).all()


def test_no_good_rows_still_make_columns(decoder_of: Callable[..., Decoder]) -> None:
    """With nothing to show, every column is there, of its kind and dtype, with no rows."""
    kinds = [
        "boolean",
        "int",
        "long",
        "float",
        "double",
        "string",
        COLOUR,
        array("int"),
        ["null", "long"],
        array("string"),
    ]
    decoder = decoder_of(record(*kinds))
    for values in ([], [None, b"\x00"]):
        columns = decoder.decode(values).columns
        assert [len(column) for column in columns.values()] == [0] * 10
        dtypes = [column.dtype.name for column in columns.values() if isinstance(column, np.ndarray)]
        assert dtypes == ["bool", "int32", "int64", "float32", "float64"]
        assert [type(column) for column in columns.values()][5:] == [Strings, Enum, Ragged, Nullable, Objects]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (array("long"), FRAME + b"\xc0\x9a\x0c" + bytes(100_000) + b"\x00"),
        (array("long"), FRAME + b"\x02\x00" * 30_000 + b"\x00"),
        (array("float"), FRAME + b"\x80\xe8\x07" + bytes(256_000) + b"\x02" + bytes(4) + b"\x00"),
        (array("double"), FRAME + HUGE + bytes(1000)),
        ("bytes", FRAME + b"\xfe" + b"\xff" * 8 + b"\x01" + bytes(1000)),
    ],
    ids=["longs of one byte", "a block per item", "floats in two blocks", "2**42 doubles", "2**63 bytes"],
)
def test_memory_is_a_small_multiple_of_the_input(decoder_of: Callable[..., Decoder], kind: Any, value: bytes) -> None:
    """However a message is made, decoding it takes less than 64 bytes per byte of input, and a fixed 1 MB."""
    decoder = decoder_of(record(kind), max_bytes=1 << 20)
    tracemalloc.start()
    decoder.decode([value] * 4)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 * 4 * len(value) + 1_000_000


def test_unsafe_schemas_are_refused() -> None:
    """A decoder for a schema that could turn five bytes into gigabytes is never made."""
    with pytest.raises(SchemaError, match=r"schema\.a: array items can take no bytes"):
        Decoder(record(array("null")))


WRITER = record("long", "string", array("float"), ["null", "long"])
CHEAP = {
    "type": "record",
    "name": "R",
    "fields": [
        {"name": "new", "type": "string", "default": "none"},
        {"name": "b", "type": "string"},
        {"name": "nested", "type": record("int", "bytes", name="N"), "default": {"a": 3, "b": "\u00ff"}},
        {"name": "maybe", "type": ["null", "double"], "default": None},
        {"name": "a", "type": "long"},
    ],
}
DEAR = {
    "type": "record",
    "name": "R",
    "fields": [
        {"name": "a", "type": "double"},
        {"name": "text", "aliases": ["b"], "type": "string"},
        {"name": "d", "type": ["null", "double"]},
        {"name": "added", "type": COLOUR, "default": "BLUE"},
    ],
}
RENAMED = {
    "type": "record",
    "name": "R",
    "fields": [{"name": "text", "aliases": ["b"], "type": "string", "default": "unused"}],
}


@pytest.mark.parametrize("reader", [CHEAP, DEAR, RENAMED, WRITER], ids=["chosen", "by fastavro", "renamed", "the same"])
def test_resolution_gives_what_fastavro_gives(decoder_of: Callable[..., Decoder], reader: dict[str, Any]) -> None:
    """Added, dropped, reordered, renamed and promoted fields arrive as the reader's schema says."""
    values = Encoder(WRITER, 1).encode(
        {
            "a": np.array([1, -(1 << 40), 3]),
            "b": Strings.from_list(["x", "żółw", ""]),
            "c": Ragged(np.array([1.5, 2.5], np.float32), np.array([2, 0, 0])),
            "d": Nullable(np.array([0, 7, -9]), np.array([False, True, True])),
        }
    )
    values.insert(1, FRAME + b"\x02")
    decoded = decoder_of(WRITER, reader_schema=reader).decode(values)
    assert decoded.at.tolist() == [0, 2, 3]
    assert [bad.reason for bad in decoded.refused] == [DecodeReason.TRUNCATED]
    oracle = [schemaless_reader(io.BytesIO(values[row][5:]), WRITER, reader) for row in (0, 2, 3)]
    columns = decoded.columns
    for field in (field["name"] for field in reader["fields"] if field["name"] != "nested"):
        assert isinstance(oracle[0], dict)
        assert listed(columns[field]) == [row[field] for row in oracle if isinstance(row, dict)]
    if reader is CHEAP:
        assert list(columns) == ["new", "b", "nested.a", "nested.b", "maybe", "a"]
        assert listed(columns["nested.a"]) == [3, 3, 3]
        nested = columns["nested.b"]
        assert isinstance(nested, Strings)
        assert nested.tobytes() == [b"\xff"] * 3


def listed(column: Any) -> list[Any]:
    if isinstance(column, Nullable):
        return [value if valid else None for value, valid in zip(listed(column.values), column.valid, strict=True)]
    if isinstance(column, Ragged):
        return [part.tolist() for part in np.split(column.flat, np.cumsum(column.lengths)[:-1])]
    return list(column.tolist())


@pytest.mark.parametrize(
    "reader",
    [record("string"), record("long", name="Other"), record("long", "int")],
    ids=["another type", "another name", "a field without default"],
)
def test_unresolvable_rows_are_dead_letters(reader: dict[str, Any]) -> None:
    """A reader's schema that does not fit refuses the rows, not the process: good bytes, wrong schema."""
    decoded = Decoder(record("long"), reader_schema=reader).decode([FRAME + b"\x02"])
    assert [bad.reason for bad in decoded.refused] == [DecodeReason.UNDECODABLE]


def test_rare_types_become_objects(decoder_of: Callable[..., Decoder]) -> None:
    """Maps, lists of text and wide unions come as Python objects beside ordinary columns."""
    schema = record(MAP, "double", ["null", "long", "string"], array("string"))
    values = [FRAME + b"\x02\x02k\x0e\x00" + np.float64(1.5).tobytes() + b"\x04\x02x" + b"\x02\x02y\x00"]
    columns = decoder_of(schema).decode(values).columns
    objects = [column.values for column in columns.values() if isinstance(column, Objects)]
    assert objects == [[{"k": 7}], ["x"], [["y"]]]
    assert listed(columns["b"]) == [1.5]
