"""The fast reader: all records at once, field by field, with one cursor per record over the joined bytes.

It accepts only rows that it is sure of. A row that is damaged, or merely unusual (an array in several blocks), is
marked suspect and left to the referee. Its cursor is parked on the zeros after the last record, so that it can be moved
on with the others: there it reads the number 0, the length 0 or an empty array, and it never leaves the buffer.

For example, records of 3, 2 and 4 bytes start with cursors at 0, 3 and 5. The second states a length of 90, which is
more than it has: its cursor goes to 9, where the zeros begin, and the others read on.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import groupby

import numpy as np

from freshet.avro.columns import Column, Enum, NumericColumn, Ragged, Strings
from freshet.avro.frame import Joined
from freshet.avro.nodes import Node
from freshet.avro.plan import DTYPES, Leaf, Plan, column_of, nulls, with_nulls
from freshet.avro.ragged import invalid_utf8, pack, ranges, starts_of, windows
from freshet.avro.varints import LONGEST, Unsigned, read_varints, unzigzag
from freshet.contracts.arrays import Bools, Bytes, Ints

Layout = np.dtype[np.void]

_CHUNK = 1 << 16
"""Varints of an array are decoded so many at a time: the temporaries stay small whatever the batch."""


class FastReader:
    """Reads whole batches of one schema; every leaf must be columnar."""

    def __init__(self, plan: Plan) -> None:
        runs = [list(leaves) for _, leaves in groupby(plan, key=_is_fixed)]
        self._steps = [(leaves, _layout(leaves) if _is_fixed(leaves[0]) else None) for leaves in runs]
        # Whether a cursor stops at the end of its record is checked once, after the last field. Until then it may run
        # into the next record, and in the last one into the zeros, by the fixed parts of all fields at most.
        slack = sum(2 * LONGEST + leaf.node.smallest for leaf in plan)
        self.padding = slack + 2 * LONGEST
        """Zeros that must follow the joined bodies."""

    def read(self, bodies: Joined, offset: int) -> tuple[dict[str, Column], Bools]:
        """The columns of all bodies, at least one, and which rows are right; the values of other rows mean nothing."""
        ends = bodies.starts + bodies.lengths
        cursor = Cursor(_Source(bodies.buffer, int(ends[-1])), bodies.starts + offset, ends)
        columns: dict[str, Column] = {}
        for leaves, layout in self._steps:
            if layout is None:
                columns.update((leaf.name, _column(cursor, leaf)) for leaf in leaves)
            else:
                columns.update(zip((leaf.name for leaf in leaves), cursor.block(leaves, layout), strict=True))
        return columns, ~cursor.suspect & (cursor.at == ends)


class _Source:
    """The joined records, views on them, and where suspect cursors are parked."""

    def __init__(self, buffer: Bytes, parking: int) -> None:
        self.buffer = buffer
        self.words = windows(buffer, 8)
        self.parking = parking

    @cached_property
    def varint_ends(self) -> Ints:
        """Position of every byte that could be the last of a varint."""
        return np.flatnonzero(self.buffer < 0x80)


class Cursor:
    """The position `at` that each record is read at. It only moves forward."""

    def __init__(self, source: _Source, at: Ints, ends: Ints) -> None:
        self.source = source
        self.at = at
        self.ends = ends
        self.suspect: Bools = np.zeros(at.size, np.bool_)

    def doubt(self, rows: Bools) -> None:
        """Mark these rows as suspect, and park their cursors."""
        if rows.any():
            self.suspect = self.suspect | rows
            self.at = np.where(self.suspect, self.source.parking, self.at)

    def varints(self) -> Unsigned:
        raw, sizes, bad = read_varints(self.source.buffer, self.source.words, self.at)
        self.at = self.at + sizes
        if bad is not None:
            self.doubt(bad)
        return raw

    def bytes(self) -> Bytes:
        found = self.source.buffer[self.at]
        self.at = self.at + 1
        return found

    def counts(self, smallest: int) -> Ints:
        """A length, or a count of items of at least `smallest` bytes; 0 for rows that could not hold so many."""
        raw = self.varints()
        counts = (raw >> 1).astype(np.int64)
        wrong = (counts > (self.ends - self.at) // smallest) | (raw & 1).astype(np.bool_)  # odd is negative
        self.doubt(wrong)
        if self.suspect.any():
            counts[self.suspect] = 0
        return counts

    def skip(self, lengths: Ints) -> Ints:
        """Move over so many bytes; returns where they start."""
        starts = self.at
        self.at = starts + lengths
        return starts

    def block(self, leaves: Sequence[Leaf], layout: Layout) -> list[Column]:
        """Neighbouring fields of fixed width, read as one piece."""
        rows = windows(self.source.buffer, layout.itemsize)[self.at].view(layout)
        self.at = self.at + layout.itemsize
        return [_fixed(leaf.node, rows[f"{index}"].copy()) for index, leaf in enumerate(leaves)]

    def array(self, item: Node) -> Ragged:
        """One block of numbers and the 0 that ends it, or nothing but the 0."""
        counts = self.counts(item.smallest)
        if item.kind in ("float", "double"):
            width = item.smallest
            packed, _ = pack(self.source.buffer, self.skip(counts * width), counts * width)
            flat: NumericColumn = packed.view(DTYPES[item.kind])
        else:
            flat = self._varint_items(counts, item)
        some = counts > 0
        self.doubt((self.source.buffer[self.at] != 0) & some)
        self.at = self.at + some
        return Ragged(flat, counts)

    def _varint_items(self, counts: Ints, item: Node) -> NumericColumn:
        """The items of varint arrays, found by their last bytes, the only ones below 0x80.

        The array of 1 and 300 is 04 02 D8 04 00: the count 2, the items, the end. If it starts at byte 0, bytes 0, 1, 3
        and 4 are last ones. The cursor is at 1; from there the first two last bytes, 1 and 3, end the two items, and
        each item starts right after the last byte before it: at 1 and at 2.
        """
        ends = self.source.varint_ends
        firsts = np.searchsorted(ends, self.at)
        lasts = np.minimum(firsts + counts, ends.size) - 1  # the last end, or the one before the first if count is 0
        after = np.where(counts > 0, ends[lasts] + 1, self.at)
        self.doubt((after > self.ends) | (firsts + counts > ends.size))
        counts[self.suspect] = 0
        self.at = np.where(self.suspect, self.source.parking, after)
        starts = ranges(firsts, counts)
        flat = np.empty(starts.size, DTYPES[item.kind])
        for low in range(0, starts.size, _CHUNK):
            chunk = slice(low, low + _CHUNK)
            at = ends[starts[chunk] - 1] + 1  # after the varint before it, which for a row's first item is the count
            raw, _, bad = read_varints(self.source.buffer, self.source.words, at)
            over = _over_32_bits(raw) if item.kind == "int" else None
            flat[chunk] = unzigzag(raw)
            for wrong in (bad, over):
                if wrong is not None and wrong.any():
                    rows = np.searchsorted(starts_of(counts), np.flatnonzero(wrong) + low, "right") - 1
                    self.doubt(np.bincount(rows, minlength=counts.size) > 0)
        return flat


def _column(cursor: Cursor, leaf: Leaf) -> Column:
    if leaf.null_branch is None:
        return _READERS[leaf.node.kind](cursor, leaf.node)
    branches = cursor.bytes()
    cursor.doubt((branches & 0xFD) != 0)
    valid = (branches == 2 * (1 - leaf.null_branch)) & ~cursor.suspect
    rows = np.flatnonzero(valid)
    if rows.size == 0:
        return with_nulls(column_of(Leaf("", (), leaf.node), []), valid)
    inner = Cursor(cursor.source, cursor.at[rows], cursor.ends[rows])
    present = _READERS[leaf.node.kind](inner, leaf.node)
    cursor.at[rows] = inner.at
    cursor.suspect[rows] |= inner.suspect
    return with_nulls(present, valid)


def _null(cursor: Cursor, node: Node) -> Column:  # noqa: ARG001
    return nulls(cursor.at.size)


def _boolean(cursor: Cursor, node: Node) -> Column:  # noqa: ARG001
    found = cursor.bytes()
    cursor.doubt(found > 1)
    return found.astype(np.bool_)


def _int(cursor: Cursor, node: Node) -> Column:  # noqa: ARG001
    raw = cursor.varints()
    cursor.doubt(_over_32_bits(raw))
    return unzigzag(raw).astype(np.int32)


def _long(cursor: Cursor, node: Node) -> Column:  # noqa: ARG001
    return unzigzag(cursor.varints())


def _text(cursor: Cursor, node: Node) -> Column:
    lengths = cursor.counts(1)
    packed, starts = pack(cursor.source.buffer, cursor.skip(lengths), lengths)
    if node.kind == "string":
        wrong = invalid_utf8(packed, starts, lengths)
        if wrong.size:
            cursor.doubt(np.bincount(wrong, minlength=lengths.size) > 0)
    return Strings(packed, starts, lengths)


def _enum(cursor: Cursor, node: Node) -> Column:
    raw = cursor.varints()
    cursor.doubt((raw >= 2 * len(node.symbols)) | (raw & 1).astype(np.bool_))
    return Enum((raw >> 1).astype(np.int32), node.symbols)


def _array(cursor: Cursor, node: Node) -> Column:
    assert node.item is not None
    return cursor.array(node.item)


def _fixed_alone(cursor: Cursor, node: Node) -> Column:
    leaves = [Leaf("", (), node)]
    return cursor.block(leaves, _layout(leaves))[0]


_READERS: dict[str, Callable[[Cursor, Node], Column]] = {
    "null": _null,
    "boolean": _boolean,
    "int": _int,
    "long": _long,
    "enum": _enum,
    "array": _array,
    **dict.fromkeys(("string", "bytes"), _text),
    **dict.fromkeys(("float", "double", "fixed"), _fixed_alone),
}


def _over_32_bits(raw: Unsigned) -> Bools:
    return raw > np.uint64(0xFFFFFFFF)


def _is_fixed(leaf: Leaf) -> bool:
    """Whether the field has as many bytes in every record."""
    return leaf.null_branch is None and leaf.node.kind in ("float", "double", "fixed")


def _layout(leaves: Sequence[Leaf]) -> Layout:
    kinds = [DTYPES[leaf.node.kind] if leaf.node.kind != "fixed" else f"V{leaf.node.size}" for leaf in leaves]
    return np.dtype([(f"{index}", kind) for index, kind in enumerate(kinds)])


def _fixed(node: Node, values: NumericColumn) -> Column:
    if node.kind != "fixed":
        return values
    lengths = np.full(values.size, node.size, np.int64)
    return Strings(values.view(np.uint8), starts_of(lengths), lengths)
