"""Encoding: the exact bytes of the specification, and a refusal that names the column for whatever does not fit."""

from typing import Any

import numpy as np
import pytest

from freshet.avro import Column, Encoder, Enum, Nullable, Objects, Ragged, Strings

COLOUR = {"type": "enum", "name": "Colour", "symbols": ["RED", "BLUE"]}


def one(kind: Any) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": [{"name": "a", "type": kind}]}


def numbers(*values: Any, dtype: Any = np.int64) -> Any:
    return np.array(values, dtype)


EXACT: list[tuple[Any, Column, list[bytes]]] = [
    ("long", numbers(0, -1, 1, -64, 64, -(1 << 63)), [b"\0", b"\1", b"\2", b"\x7f", b"\x80\1", b"\xff" * 9 + b"\1"]),
    ("int", numbers(-(1 << 31), (1 << 31) - 1, dtype=np.int32), [b"\xff\xff\xff\xff\x0f", b"\xfe\xff\xff\xff\x0f"]),
    ("int", numbers(200, 3, dtype=np.uint8), [b"\x90\3", b"\6"]),
    ("boolean", numbers(True, False, dtype=np.bool_), [b"\1", b"\0"]),
    ("float", numbers(1.0, -0.0, dtype=np.float32), [b"\0\0\x80\x3f", b"\0\0\0\x80"]),
    ("double", numbers(1.0, dtype=np.float64), [b"\0\0\0\0\0\0\xf0\x3f"]),
    ("string", Strings.from_list(["foo", "", "é"]), [b"\6foo", b"\0", b"\4\xc3\xa9"]),
    ("bytes", Strings.from_list([b"\xff", b"\0" * 64]), [b"\2\xff", b"\x80\1" + b"\0" * 64]),
    ({"type": "fixed", "name": "F", "size": 2}, Strings.from_list([b"ab", b"cd"]), [b"ab", b"cd"]),
    (COLOUR, Enum(numbers(1, 0, dtype=np.int32), ("RED", "BLUE")), [b"\2", b"\0"]),
    ({"type": "array", "items": "long"}, Ragged(numbers(3, 27), numbers(2, 0)), [b"\4\6\x36\0", b"\0"]),
    ({"type": "array", "items": "float"}, Ragged.from_matrix(np.ones((1, 1), np.float32)), [b"\2\0\0\x80\x3f\0"]),
    (["null", "string"], Nullable(Strings.from_list(["", "a"]), numbers(0, 1, dtype=np.bool_)), [b"\0", b"\2\2a"]),
    (["long", "null"], Nullable(numbers(9, 2), numbers(0, 1, dtype=np.bool_)), [b"\2", b"\0\4"]),
    ("null", Nullable(numbers(0, 0), numbers(0, 0, dtype=np.bool_)), [b"", b""]),
    ({"type": "map", "values": "long"}, Objects([{"k": 7}, {}]), [b"\2\2k\x0e\0", b"\0"]),
]


@pytest.mark.parametrize(("kind", "column", "bodies"), EXACT)
def test_bytes_are_the_specifications(kind: Any, column: Column, bodies: list[bytes]) -> None:
    """Each value is the frame with the schema's id, then the bytes that the Avro specification asks for."""
    assert Encoder(one(kind), 0x01020304).encode({"a": column}) == [b"\0\1\2\3\4" + body for body in bodies]


REFUSED: list[tuple[Any, Column, str]] = [
    ("int", numbers(1 << 31), "outside the range of int"),
    ("long", numbers(1 << 63, dtype=np.uint64), "outside the range of long"),
    ("long", numbers(1.0, dtype=np.float64), "must be of dtype int64 for long, not float64"),
    ("float", numbers(1.0, dtype=np.float64), "must be of dtype float32 for float, not float64"),
    ("boolean", numbers(1), "must be of dtype bool for boolean, not int64"),
    ("double", np.ones((2, 2)), r"must be an array \(n,\), not array \(2, 2\)"),
    ("string", numbers(1), r"must be Strings, not array \(1,\)"),
    ("string", Strings.from_list([b"ok", b"\xff"]), "row 1 is not UTF-8"),
    ({"type": "fixed", "name": "F", "size": 2}, Strings.from_list([b"ab", b"c"]), "row 1 has 1 bytes, not 2"),
    (COLOUR, Enum(numbers(2, dtype=np.int32), ("RED", "BLUE")), "codes outside 0 to 1"),
    (COLOUR, Enum(numbers(0, dtype=np.int32), ("BLUE", "RED")), "has the symbols"),
    ({"type": "array", "items": "int"}, Ragged(numbers(1 << 40), numbers(1)), "outside the range of int"),
    ({"type": "array", "items": "float"}, Ragged(np.ones(1), numbers(1)), "must be of dtype float32"),
    (["null", "long"], numbers(1), "must be Nullable, not array"),
    ("null", Nullable(numbers(0), np.array([True])), "holds values, but its type is null"),
    ({"type": "map", "values": "int"}, Objects([{"k": 1 << 40}]), "row 0 does not fit its type"),
    ({"type": "map", "values": "string"}, Objects([{"k": "\ud800"}]), "row 0 does not fit its type"),
]


@pytest.mark.parametrize(("kind", "column", "why"), REFUSED)
def test_column_that_does_not_fit_is_named(kind: Any, column: Column, why: str) -> None:
    """Nothing is cast, cut or wrapped: ValueError says which column and why."""
    with pytest.raises(ValueError, match=rf"column 'a': .*{why}"):
        Encoder(one(kind), 1).encode({"a": column})


def test_columns_must_be_the_schemas() -> None:
    """A missing or unknown column, or one of another length, is an error and no record is written."""
    schema = {"type": "record", "name": "R", "fields": [{"name": name, "type": "long"} for name in "ab"]}
    encoder = Encoder(schema, 1)
    with pytest.raises(ValueError, match=r"missing \['b'\], unknown \['c'\]"):
        encoder.encode({"a": numbers(1), "c": numbers(1)})
    with pytest.raises(ValueError, match="column 'b': 2 rows, but the first column has 1"):
        encoder.encode({"a": numbers(1), "b": numbers(1, 2)})


def test_no_rows_make_no_values() -> None:
    """An empty batch is not an error."""
    assert Encoder(one("string"), 1).encode({"a": Strings.from_list([])}) == []
