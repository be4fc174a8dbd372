"""The slow reader, whose verdict counts: one record at a time, checked byte by byte, then read by fastavro.

fastavro alone is too lenient: it takes trailing bytes, negative indexes, ints over 32 bits, endless varints. So a walk
over the bytes, guided by the schema, comes first and decides whether the record is good; fastavro then supplies the
values and schema resolution. The walk accepts every legal encoding, such as arrays in several blocks, but only the
shortest one of each integer.
"""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any

from fastavro import schemaless_reader

from freshet.avro.nodes import Field, Node, fastavro_schema
from freshet.avro.plan import is_columnar, null_branch_of
from freshet.avro.reasons import DecodeReason, Refused
from freshet.avro.varints import LONGEST


class Referee:
    """Judges and reads single records of one writer's schema, resolved to the reader's if there is one."""

    def __init__(self, writer: Node, reader: Node | None = None) -> None:
        self._writer = writer
        self._writer_schema = fastavro_schema(_with_float_bits(writer) if reader is None else writer)
        self._reader_schema = None if reader is None else fastavro_schema(reader)

    def read(self, body: bytes, offset: int) -> dict[str, Any]:
        """The record that starts at `offset` and must fill the body; raises Refused.

        Without a reader's schema, floats of columnar fields come as their own bytes (see `column_of`).
        """
        end = _walk(self._writer, body, offset)
        if end < len(body):
            raise Refused(DecodeReason.TRAILING, f"{len(body) - end} bytes are left after the last field.")
        stream = BytesIO(body)
        stream.seek(offset)
        try:
            record: Any = schemaless_reader(stream, self._writer_schema, self._reader_schema)
        except Exception as error:  # fastavro raises many classes; whichever it is, this record is bad
            raise Refused(DecodeReason.UNDECODABLE, f"{type(error).__name__}: {str(error)[:200]}.") from error
        if stream.tell() != len(body):
            raise Refused(DecodeReason.UNDECODABLE, f"fastavro reads {stream.tell()} of {len(body)} bytes.")
        return dict(record)


_FLOAT_BITS = {
    kind: Node("fixed", size, name=f"freshet.avro.{kind}", size=size) for kind, size in (("float", 4), ("double", 8))
}


def _with_float_bits(node: Node) -> Node:
    """The same bytes with columnar floats as `fixed`: as Python floats, signalling NaNs would change their bits."""
    if node.kind == "record":
        fields = tuple(Field(field.name, _with_float_bits(field.type)) for field in node.fields)
        return replace(node, name=f"freshet.avro.flat.{node.name}", fields=fields, attributes=())
    if null_branch_of(node) is not None:
        return replace(node, branches=tuple(map(_with_float_bits, node.branches)))
    if node.item is not None and is_columnar(node):
        return replace(node, item=_with_float_bits(node.item))
    return _FLOAT_BITS.get(node.kind, node)


def _walk(node: Node, body: bytes, at: int) -> int:
    """Where the value that starts at `at` ends; raises Refused."""
    return _WALKS[node.kind](node, body, at)


def _record(node: Node, body: bytes, at: int) -> int:
    for field in node.fields:
        try:
            at = _walk(field.type, body, at)
        except Refused as refused:
            refused.path.append(f".{field.name}")
            raise
    return at


def _null(node: Node, body: bytes, at: int) -> int:  # noqa: ARG001
    return at


def _boolean(node: Node, body: bytes, at: int) -> int:  # noqa: ARG001
    after = _over(body, at, 1)
    if body[at] > 1:
        raise Refused(DecodeReason.BAD_BOOLEAN, f"byte {body[at]} at position {at} is neither 0 nor 1.")
    return after


def _int(node: Node, body: bytes, at: int) -> int:  # noqa: ARG001
    value, after = _varint(body, at)
    if not -(1 << 31) <= value < 1 << 31:
        raise Refused(DecodeReason.BAD_VARINT, f"{value} at byte {at} does not fit the 32 bits of an int.")
    return after


def _long(node: Node, body: bytes, at: int) -> int:  # noqa: ARG001
    return _varint(body, at)[1]


def _fixed(node: Node, body: bytes, at: int) -> int:
    return _over(body, at, node.smallest)


def _bytes(node: Node, body: bytes, at: int) -> int:  # noqa: ARG001
    return _text(body, at)[1]


def _string(node: Node, body: bytes, at: int) -> int:  # noqa: ARG001
    start, after = _text(body, at)
    try:
        str(body[start:after], "utf-8")
    except UnicodeDecodeError as error:
        raise Refused(DecodeReason.BAD_UTF8, f"the text at byte {start} is not UTF-8: {error.reason}.") from error
    return after


def _text(body: bytes, at: int) -> tuple[int, int]:
    """Where the bytes after a length start and end."""
    length, start = _varint(body, at)
    if length < 0:
        raise Refused(DecodeReason.BAD_LENGTH, f"the length at byte {at} is {length}.")
    return start, _over(body, start, length)


def _index(body: bytes, at: int, count: int, what: str) -> tuple[int, int]:
    index, after = _varint(body, at)
    if not 0 <= index < count:
        raise Refused(DecodeReason.BAD_INDEX, f"{what} {index} at byte {at}, but the schema has {count}.")
    return index, after


def _enum(node: Node, body: bytes, at: int) -> int:
    return _index(body, at, len(node.symbols), "symbol")[1]


def _union(node: Node, body: bytes, at: int) -> int:
    index, after = _index(body, at, len(node.branches), "branch")
    return _walk(node.branches[index], body, after)


def _array(node: Node, body: bytes, at: int) -> int:
    assert node.item is not None
    return _blocks(body, at, node.item, _walk)


def _map(node: Node, body: bytes, at: int) -> int:
    assert node.item is not None
    return _blocks(body, at, node.item, lambda item, body, at: _walk(item, body, _string(item, body, at)))


def _blocks(body: bytes, at: int, item: Node, walk: Callable[[Node, bytes, int], int]) -> int:
    """Blocks of items up to an empty one; a negative count is followed by the size of its block in bytes."""
    index = 0
    while True:
        block = at
        count, at = _varint(body, at)
        if count == 0:
            return at
        end = None
        if count < 0:
            size, at = _varint(body, at)
            count, end = -count, at + size
        _over(body, at, count * item.smallest)
        for index in range(index, index + count):  # noqa: B020 (goes on through the blocks)
            try:
                at = walk(item, body, at)
            except Refused as refused:
                refused.path.append(f"[{index}]")
                raise
        if end not in (None, at):
            raise Refused(DecodeReason.BAD_LENGTH, f"the block at byte {block} says it ends at {end}, not {at}.")


def _over(body: bytes, at: int, length: int) -> int:
    """The position after so many bytes, if there are so many."""
    if length > len(body) - at:
        raise Refused(DecodeReason.TRUNCATED, f"{length} bytes are needed at byte {at}, {len(body) - at} are left.")
    return at + length


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """The number at `at` and the position after it."""
    raw = 0
    for size, byte in enumerate(body[at : at + LONGEST]):
        raw |= (byte & 0x7F) << 7 * size
        if byte < 0x80:
            break
    else:
        if len(body) - at < LONGEST:
            raise Refused(DecodeReason.TRUNCATED, f"the bytes end within the integer at byte {at}.")
        raise Refused(DecodeReason.BAD_VARINT, f"the integer at byte {at} is longer than {LONGEST} bytes.")
    if raw >> 64:
        raise Refused(DecodeReason.BAD_VARINT, f"the integer at byte {at} does not fit 64 bits.")
    if size and not byte:
        raise Refused(DecodeReason.BAD_VARINT, f"the integer at byte {at} is not in its shortest form.")
    return (raw >> 1) ^ -(raw & 1), at + size + 1


_WALKS: dict[str, Callable[[Node, bytes, int], int]] = {
    "record": _record,
    "null": _null,
    "boolean": _boolean,
    "int": _int,
    "long": _long,
    "bytes": _bytes,
    "string": _string,
    "enum": _enum,
    "union": _union,
    "array": _array,
    "map": _map,
    **dict.fromkeys(("float", "double", "fixed"), _fixed),
}
