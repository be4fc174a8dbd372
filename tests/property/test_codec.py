"""The codec's two ways in agree on every record, good, unusual or damaged, and with fastavro on every good one."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastavro import schemaless_reader
from hypothesis import given, settings
from hypothesis import strategies as st

from freshet.avro import (
    Column,
    Decoder,
    Encoder,
    Enum,
    Joined,
    Nullable,
    Ragged,
    Rows,
    Strings,
)
from support.columns import bits, damages

thorough = settings(deadline=None, max_examples=150)

Json = dict[str, Any]
Value = Any
Typed = tuple[Any, st.SearchStrategy[Value]]
"""A type as Avro's JSON, and the values it has."""

LONGS = st.one_of(
    st.integers(-100, 100),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.sampled_from([sign * (1 << bits) + near for bits in range(6, 62, 7) for near in (-1, 0) for sign in (-1, 1)]),
)
INTS = LONGS.map(lambda value: (value + (1 << 31)) % (1 << 32) - (1 << 31))
FLOATS = st.integers(0, (1 << 32) - 1).map(lambda bits: bits.to_bytes(4, "little"))
DOUBLES = st.integers(0, (1 << 64) - 1).map(lambda bits: bits.to_bytes(8, "little"))
TEXTS = st.one_of(st.text(max_size=5), st.text("ab", max_size=40))

PRIMITIVES: dict[str, st.SearchStrategy[Value]] = {
    "boolean": st.booleans(),
    "int": INTS,
    "long": LONGS,
    "float": FLOATS,
    "double": DOUBLES,
    "string": TEXTS,
    "bytes": st.binary(max_size=40),
}
LOGICAL = [
    {"type": "long", "logicalType": "timestamp-millis"},
    {"type": "long", "logicalType": "timestamp-micros"},
    {"type": "int", "logicalType": "date"},
    {"type": "int", "logicalType": "time-millis"},
]
RARE: list[Typed] = [
    ({"type": "map", "values": "long"}, st.dictionaries(TEXTS, LONGS, max_size=3)),
    ({"type": "array", "items": "string"}, st.lists(TEXTS, max_size=3)),
    (["null", "long", "string"], st.one_of(st.none(), LONGS, TEXTS)),
]


class SchemaMaker:
    """Draws schemas; named types get a fresh name each."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw
        self.names = 0

    def name(self) -> str:
        self.names += 1
        return f"T{self.names}"

    def columnar(self) -> Typed:
        """A type that becomes a column, not optional and not a record."""
        kind = self.draw(st.sampled_from([*PRIMITIVES, "logical", "enum", "fixed", "array"]))
        if kind == "logical":
            logical = self.draw(st.sampled_from(LOGICAL))
            return logical, PRIMITIVES[logical["type"]]
        if kind == "enum":
            symbols = [f"S{index}" for index in range(self.draw(st.sampled_from([1, 2, 70])))]
            return {"type": "enum", "name": self.name(), "symbols": symbols}, st.sampled_from(symbols)
        if kind == "fixed":
            size = self.draw(st.sampled_from([1, 3, 16]))
            return {"type": "fixed", "name": self.name(), "size": size}, st.binary(min_size=size, max_size=size)
        if kind == "array":
            item = self.draw(st.sampled_from(["int", "long", "float", "double"]))
            return {"type": "array", "items": item}, st.lists(PRIMITIVES[item], max_size=5)
        return kind, PRIMITIVES[kind]

    def field(self, depth: int, rare: bool) -> Typed:
        shapes = ["plain"] * 5 + ["optional"] * 3 + ["null"] + ["record"] * 2 + ["rare"] * rare
        shape = self.draw(st.sampled_from(shapes))
        if shape == "null":
            return "null", st.none()
        if shape == "record" and depth < 2:
            return self.record(depth + 1, rare)
        schema, values = self.columnar()
        if shape == "optional":
            branches = ["null", schema] if self.draw(st.booleans()) else [schema, "null"]
            return branches, st.one_of(st.none(), values)
        if shape == "rare":
            rarity: Typed = self.draw(st.sampled_from(RARE))
            return rarity
        return schema, values

    def record(self, depth: int = 0, rare: bool = False) -> Typed:
        fields, values = [], {}
        for index in range(self.draw(st.integers(1, 5))):
            schema, strategy = self.field(depth, rare)
            name = f"map{index}" if isinstance(schema, dict) and schema["type"] == "map" else f"f{index}"
            fields.append({"name": name, "type": schema})
            values[name] = strategy
        return {"type": "record", "name": self.name(), "fields": fields}, st.fixed_dictionaries(values)


@st.composite
def batches(draw: Callable[[st.SearchStrategy[Any]], Any], rare: bool = False) -> tuple[Json, list[Json]]:
    """A schema and one to six of its records; floats are their bytes."""
    schema, records = SchemaMaker(draw).record(rare=rare)
    return schema, draw(st.lists(records, min_size=1, max_size=6))


def varint(value: int) -> bytes:
    raw = (value << 1) ^ (value >> 63)
    out = bytearray()
    while raw > 0x7F:
        out.append(raw & 0x7F | 0x80)
        raw >>= 7
    return bytes([*out, raw])


def written(schema: Any, value: Value, blocks: int = 1) -> bytes:
    """A value in Avro's binary form, from the specification alone; `blocks` > 1 splits arrays and maps."""
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(schema, list):
        index = branch_of(schema, value)
        return varint(index) + written(schema[index], value, blocks)
    if kind == "record":
        return b"".join(written(field["type"], value[field["name"]], blocks) for field in schema["fields"])
    if kind == "array":
        return written_blocks([written(schema["items"], one, blocks) for one in value], blocks)
    if kind == "map":
        entries = [written("string", key) + written(schema["values"], one) for key, one in value.items()]
        return written_blocks(entries, blocks)
    if kind in ("int", "long", "enum"):
        return varint(schema["symbols"].index(value) if kind == "enum" else value)
    text = value.encode() if isinstance(value, str) else bytes([value] if kind == "boolean" else value or b"")
    return varint(len(text)) + text if kind in ("string", "bytes") else text


def branch_of(union: list[Any], value: Value) -> int:
    """The union's branch for the value: null, or else the one that the few unions of this test leave."""
    kinds = [branch["type"] if isinstance(branch, dict) else branch for branch in union]
    if value is None or len(union) == 2:
        return kinds.index("null") if value is None else 1 - kinds.index("null")
    return kinds.index("string" if isinstance(value, str) else "long")


def written_blocks(items: list[bytes], blocks: int) -> bytes:
    """So many blocks; every second one states its size in bytes, as the specification allows."""
    size = max(1, -(-len(items) // blocks))
    out = b""
    for number, low in enumerate(range(0, len(items), size)):
        block = items[low : low + size]
        joined = b"".join(block)
        out += (varint(-len(block)) + varint(len(joined)) if number % 2 else varint(len(block))) + joined
    return out + b"\x00"


def both_ways(schema: Json) -> tuple[Decoder, Decoder]:
    """A decoder that takes the fast way however small the batch, and one that has only the referee."""
    fast, slow = Decoder(schema), Decoder(schema)
    fast._few_bytes, slow._fast = 0, None
    return fast, slow


def told(decoded: Rows) -> Any:
    """All that a decoder says: values, verdicts and sentences."""
    columns = {name: bits(column) for name, column in decoded.columns.items()}
    return columns, decoded.at.tolist(), decoded.refused


def listed(column: Column) -> list[Any]:
    """A column as Python values, text as bytes."""
    if isinstance(column, np.ndarray):
        return list(column.tolist())
    if isinstance(column, Strings):
        return column.tobytes()
    if isinstance(column, Ragged):
        return [part.tolist() for part in np.split(column.flat, np.cumsum(column.lengths)[:-1])]
    if isinstance(column, Enum):
        return list(map(as_bytes, column.tolist()))
    if isinstance(column, Nullable):
        pairs = zip(column.valid.tolist(), listed(column.values), strict=True)
        return [value if valid else None for valid, value in pairs]
    return list(map(as_bytes, column.values))


def as_bytes(value: Value) -> Value:
    return value.encode() if isinstance(value, str) else value


def flat(record: Any, outer: str = "") -> Json:
    """A record with its nested records' fields beside its own; a map is a value, told by its field's name."""
    out: Json = {}
    for name, value in record.items():
        if isinstance(value, dict) and name.startswith("f"):
            out |= flat(value, f"{outer}{name}.")
        else:
            out[outer + name] = value
    return out


def without_logical_types(schema: Any) -> Any:
    if isinstance(schema, list):
        return [without_logical_types(branch) for branch in schema]
    if isinstance(schema, dict):
        return {key: without_logical_types(part) for key, part in schema.items() if key != "logicalType"}
    return schema


@pytest.mark.slow
@thorough
@given(batches())
def test_fast_way_needs_no_referee_for_what_writers_write(batch: tuple[Json, list[Json]]) -> None:
    """Records in the form that every writer produces are all read the fast way, to the same bits as the slow way."""
    schema, records = batch
    values = [written(schema, record) for record in records]
    fast, slow = both_ways(schema)
    assert fast._fast is not None
    if all(values):
        _, clean = fast._fast.read(Joined.of(values, fast.padding), 0)
        assert clean.all()
    assert told(fast.decode(values, offset=0)) == told(slow.decode(values, offset=0))


@thorough
@given(batches(rare=True), st.data())
def test_values_are_fastavros(batch: tuple[Json, list[Json]], data: st.DataObject) -> None:
    """What is read is what fastavro reads; what is written is what it was read from, byte for byte."""
    schema, records = batch
    values = [b"\x00\x00\x00\x00\x07" + written(schema, record) for record in records]
    decoded = data.draw(st.sampled_from(both_ways(schema))).decode(values)
    assert decoded.refused == []
    assert Encoder(schema, 7).encode(decoded.columns) == values
    plain = without_logical_types(schema)
    oracle = [flat(schemaless_reader(io.BytesIO(value[5:]), plain)) for value in values]
    for name, column in decoded.columns.items():
        assert repr(listed(column)) == repr([as_bytes(record[name]) for record in oracle])


@pytest.mark.slow
@thorough
@given(batches(), st.integers(2, 4))
def test_legal_but_unusual_blocks_are_accepted(batch: tuple[Json, list[Json]], blocks: int) -> None:
    """Arrays in several blocks, with or without sizes, hold the same values as in one, whichever row has them."""
    schema, records = batch
    usual = [written(schema, record) for record in records]
    mixed = [written(schema, record, 1 + row % blocks) for row, record in enumerate(records)]
    fast, slow = both_ways(schema)
    assert (
        told(fast.decode(mixed, offset=0)) == told(slow.decode(mixed, offset=0)) == told(fast.decode(usual, offset=0))
    )


@pytest.mark.slow
@thorough
@given(batches(), st.data())
def test_damaged_rows_get_the_referees_verdict(batch: tuple[Json, list[Json]], data: st.DataObject) -> None:
    """Cut, lengthened, flipped or overwritten bytes: same verdict and values both ways, and no other row is touched."""
    schema, records = batch
    values = [written(schema, record) for record in records]
    victim = data.draw(st.integers(0, len(values) - 1))
    damaged = [*values]
    damaged[victim] = data.draw(damages(values[victim]))
    fast, slow = (decoder.decode(damaged, offset=0) for decoder in both_ways(schema))
    assert told(fast) == told(slow)
    assert {refused.row for refused in fast.refused} <= {
        victim,
        *(row for row, value in enumerate(values) if not value),
    }


@pytest.mark.slow
@thorough
@given(batches(rare=True))
def test_every_truncation_is_refused(batch: tuple[Json, list[Json]]) -> None:
    """No record is a prefix of another: cut anywhere, with a whole one after it, it is refused, both ways alike."""
    schema, records = batch
    value = written(schema, records[0])
    cuts = [value[:length] for length in range(1, len(value))] + [value]
    fast, slow = (decoder.decode(cuts, offset=0) for decoder in both_ways(schema))
    assert told(fast) == told(slow)
    assert fast.at.tolist() == ([len(cuts) - 1] if value else [])
