"""Columns to Kafka values: every field is written for all rows at once into one buffer, which is then cut into rows."""

from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from fastavro import schemaless_writer
from fastavro.validation import validate

from freshet.avro.codec_time import timed
from freshet.avro.columns import (
    Column,
    Columns,
    Enum,
    Nullable,
    NumericColumn,
    Objects,
    Ragged,
    Strings,
    take,
)
from freshet.avro.frame import frame_header
from freshet.avro.nodes import fastavro_schema
from freshet.avro.parsing import parse
from freshet.avro.pieces import Copied, Fixed, Piece, Same, Some, merged
from freshet.avro.plan import DTYPES, Leaf, plan_of
from freshet.avro.ragged import invalid_utf8, pack, split, starts_of
from freshet.avro.varints import Varints
from freshet.contracts.arrays import Bytes, Ints


class Encoder:
    """Encodes columns as framed values of one schema. Raises SchemaError for a schema that `lint` objects to."""

    def __init__(self, schema: Mapping[str, Any] | str, schema_id: int) -> None:
        self._plan = plan_of(parse(schema))
        self._header = Same(frame_header(schema_id))

    @timed("encode")
    def encode(self, columns: Columns) -> list[bytes]:
        """One framed value per row; the decoder of the same schema gives the columns back bit for bit.

        There must be a column for each field and no other, all of one length. Raises ValueError naming the column
        whose kind, dtype, shape, length or values do not fit: nothing is cast, but any integer dtype will do for int
        and long.
        """
        rows = self._rows(columns)
        if rows == 0:
            return []
        fields = (piece for leaf in self._plan for piece in _pieces_of(leaf, columns[leaf.name]))
        pieces = list(merged(chain([self._header], fields)))
        lengths = np.zeros(rows, np.int64)
        for piece in pieces:
            lengths += piece.sizes
        at = starts_of(lengths)
        out = np.empty(int(at[-1] + lengths[-1]), np.uint8)
        for piece in pieces:
            piece.write(out, at)
            at += piece.sizes
        return split(out, lengths)

    def _rows(self, columns: Columns) -> int:
        names = {leaf.name for leaf in self._plan}
        if names != set(columns):
            missing, unknown = sorted(names - set(columns)), sorted(set(columns) - names)
            raise ValueError(f"columns do not match the schema: missing {missing}, unknown {unknown}.")
        rows = len(columns[self._plan[0].name]) if self._plan else 0
        for name, column in columns.items():
            if len(column) != rows:
                raise ValueError(f"column {name!r}: {len(column)} rows, but the first column has {rows}.")
        return rows


def _pieces_of(leaf: Leaf, column: Column) -> Iterator[Piece]:
    """The pieces of one column, in order."""
    if leaf.objects:
        return _objects(leaf, _expect(leaf, column, Objects).values)
    if leaf.null_branch is None:
        return _PIECES[leaf.node.kind](leaf, column)
    return _optional(leaf, _expect(leaf, column, Nullable), leaf.null_branch)


def _optional(leaf: Leaf, column: Nullable, null_branch: int) -> Iterator[Piece]:
    yield Fixed(np.where(column.valid, 2 * (1 - null_branch), 2 * null_branch).astype(np.uint8))
    rows = np.flatnonzero(column.valid)
    if rows.size:
        for piece in _PIECES[leaf.node.kind](leaf, take(column.values, rows)):
            yield Some(piece, rows, len(column))


def _null(leaf: Leaf, column: Column) -> Iterator[Piece]:
    if _expect(leaf, column, Nullable).valid.any():
        raise _refusal(leaf, "holds values, but its type is null")
    yield from ()


def _numbers(leaf: Leaf, column: Column) -> Iterator[Piece]:
    yield Fixed(np.ascontiguousarray(_array_of(leaf, leaf.node.kind, column)))


def _integers(leaf: Leaf, column: Column) -> Iterator[Piece]:
    yield _varints(leaf, leaf.node.kind, column)


def _enum(leaf: Leaf, column: Column) -> Iterator[Piece]:
    enum = _expect(leaf, column, Enum)
    if enum.symbols != leaf.node.symbols:
        raise _refusal(leaf, f"has the symbols {enum.symbols}, not {leaf.node.symbols}")
    codes = _varints(leaf, "int", enum.codes)
    if codes.low < 0 or codes.high >= len(enum.symbols):
        raise _refusal(leaf, f"has codes outside 0 to {len(enum.symbols) - 1}")
    yield codes


def _text(leaf: Leaf, column: Column) -> Iterator[Piece]:
    text = _expect(leaf, column, Strings)
    same = bool((text.starts == text.starts[0]).all() and (text.lengths == text.lengths[0]).all())
    if same:
        text = text.take(np.zeros(1, np.int64))
    packed, starts = pack(text.data, text.starts, text.lengths)
    if leaf.node.kind == "string":
        wrong = invalid_utf8(packed, starts, text.lengths)
        if wrong.size:
            raise _refusal(leaf, f"row {wrong[0]} is not UTF-8")
    if leaf.node.kind == "fixed":
        wrong = np.flatnonzero(text.lengths != leaf.node.size)
        if wrong.size:
            raise _refusal(leaf, f"row {wrong[0]} has {text.lengths[wrong[0]]} bytes, not {leaf.node.size}")
    else:
        yield Varints(text.lengths)
    if same and packed.size:
        yield Same(packed.tobytes())
    elif not same:
        yield from _packed(packed, starts, text.lengths)


def _array(leaf: Leaf, column: Column) -> Iterator[Piece]:
    assert leaf.node.item is not None
    ragged, kind = _expect(leaf, column, Ragged), leaf.node.item.kind
    lengths = ragged.lengths
    yield Varints(lengths)
    if kind in ("float", "double"):
        sizes = lengths * DTYPES[kind].itemsize
        flat = np.ascontiguousarray(_array_of(leaf, kind, ragged.flat))
        yield from _packed(flat.view(np.uint8), starts_of(sizes), sizes)
    elif ragged.flat.size:
        yield from _varint_items(_varints(leaf, kind, ragged.flat), lengths)
    # An empty array is its count alone, any other ends with an empty block.
    if int(lengths.min()) > 0:
        yield Same(b"\x00")
        return
    ended = (lengths > 0).astype(np.int64)
    yield from _packed(np.zeros(int(ended.sum()), np.uint8), starts_of(ended), ended)


def _varint_items(items: Varints, lengths: Ints) -> Iterator[Piece]:
    """The items of all rows are written one after another; then each row's run of bytes is a piece of that row.

    Rows of 2 and 1 items with sizes 1, 2 and 1: `ends` is 0, 1, 3, 4, and the rows are bytes 0 to 3 and 3 to 4.
    """
    sizes = np.broadcast_to(items.sizes, (int(lengths.sum()),))
    ends = np.concatenate([[0], np.cumsum(sizes)])
    out = np.empty(int(ends[-1]), np.uint8)
    items.write(out, ends[:-1])
    rows = starts_of(lengths)
    starts = ends[rows]
    yield from _packed(out, starts, ends[rows + lengths] - starts)


def _packed(packed: Bytes, starts: Ints, lengths: Ints) -> Iterator[Piece]:
    """Bytes of rows that lie one after another, as one piece, or none if there are no bytes."""
    width = packed.size // lengths.size
    if (lengths != width).any():
        yield Copied(packed, starts, lengths)
    elif width:
        yield Fixed(packed.view(f"V{width}"))


def _objects(leaf: Leaf, values: list[Any]) -> Iterator[Piece]:
    """Values without a columnar form, written by fastavro one by one."""
    schema = fastavro_schema(leaf.node)
    rows = []
    for row, value in enumerate(values):
        stream = BytesIO()
        try:
            validate(value, schema, strict=True)
            schemaless_writer(stream, schema, value)
        except Exception as error:  # fastavro's own exceptions share no base class
            raise _refusal(leaf, f"row {row} does not fit its type: {error}") from error
        rows.append(stream.getvalue())
    text = Strings.from_list(rows)
    yield from _packed(text.data, text.starts, text.lengths)


_PIECES: dict[str, Callable[[Leaf, Column], Iterator[Piece]]] = {
    "null": _null,
    "enum": _enum,
    "array": _array,
    **dict.fromkeys(("boolean", "float", "double"), _numbers),
    **dict.fromkeys(("int", "long"), _integers),
    **dict.fromkeys(("string", "bytes", "fixed"), _text),
}


def _varints(leaf: Leaf, kind: str, column: Column) -> Varints:
    """Integers of any dtype, at least one; refused if they are outside the range of int or long."""
    values = _array_of(leaf, kind, column)
    varints = Varints(values.astype(np.int64, copy=False))
    limit = 1 << 31 if kind == "int" else 1 << 63
    high = varints.high if values.dtype != np.uint64 else int(values.max())
    if varints.low < -limit or high >= limit:
        raise _refusal(leaf, f"holds {values.min()} to {values.max()}, outside the range of {kind}")
    return varints


def _array_of(leaf: Leaf, kind: str, column: Column) -> NumericColumn:
    """The column as an array (n,) of the dtype for this kind, or of any integers for int and long."""
    if not isinstance(column, np.ndarray) or column.ndim != 1:
        raise _refusal(leaf, f"must be an array (n,), not {_describe(column)}")
    wanted = DTYPES[kind]
    if column.dtype != wanted and (wanted.kind != "i" or column.dtype.kind not in "iu"):
        raise _refusal(leaf, f"must be of dtype {wanted} for {kind}, not {column.dtype}")
    return column


C = TypeVar("C", bound=Column)


def _expect(leaf: Leaf, column: Column, kind: type[C]) -> C:
    if not isinstance(column, kind):
        raise _refusal(leaf, f"must be {kind.__name__}, not {_describe(column)}")
    return column


def _describe(column: Column) -> str:
    return f"array {column.shape}" if isinstance(column, np.ndarray) else type(column).__name__


def _refusal(leaf: Leaf, why: str) -> ValueError:
    return ValueError(f"column {leaf.name!r}: {why}.")
