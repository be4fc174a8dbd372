"""Bytes of many rows moved at once: rows of unequal length without a Python object or an index per byte."""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freshet.contracts.arrays import Bytes, Ints

Voids = NDArray[np.void]


def windows(buffer: Bytes, width: int) -> Voids:
    """A view whose item i is the `width` bytes from position i: of `abcd` and 2, the items ab, bc and cd.

    Nothing is copied, and items overlap: indexing with the starts of rows reads, or writes, them all in one call.
    Where two rows that are written overlap, which one wins is not defined.
    """
    return np.ndarray((max(buffer.size - width + 1, 0),), f"V{width}", buffer, 0, (1,))


def copy_rows(out: Bytes, out_starts: Ints, data: Bytes, starts: Ints, lengths: Ints) -> None:
    """Copy row i, `lengths[i]` bytes of `data` from `starts[i]`, to `out` at `out_starts[i]`.

    A row of between w and 2w bytes is its first w bytes and its last w bytes, which may overlap: with w = 3 the row
    `abcde` is abc, and cde two bytes further on. So each round moves all rows up to twice the shortest with two block
    copies of one width, and goes on with the longer ones: rows of up to 64 KiB need at most 17 rounds.
    """
    while lengths.size:
        shortest, longest = int(lengths.min()), int(lengths.max())
        if shortest > 0:
            source, target = windows(data, shortest), windows(out, shortest)
            if longest > 2 * shortest:
                near = np.flatnonzero(lengths <= 2 * shortest)
                heads, tails, spare = starts[near], out_starts[near], lengths[near] - shortest
            else:
                heads, tails, spare = starts, out_starts, lengths - shortest
            target[tails] = source[heads]
            if longest > shortest:
                target[tails + spare] = source[heads + spare]
        if longest <= 2 * shortest:
            return
        far = np.flatnonzero(lengths > 2 * shortest)
        out_starts, starts, lengths = out_starts[far], starts[far], lengths[far]


def pack(data: Bytes, starts: Ints, lengths: Ints) -> tuple[Bytes, Ints]:
    """The rows one after another, and where each starts then: a copy, unless they fill `data` in this order."""
    packed_starts = starts_of(lengths)
    total = int(packed_starts[-1] + lengths[-1]) if lengths.size else 0
    if total == 0:
        return np.empty(0, np.uint8), packed_starts
    if total == data.size and (starts == packed_starts).all():
        return data, packed_starts
    width = total // lengths.size
    if (lengths == width).all():
        return windows(data, width)[starts].view(np.uint8), packed_starts
    packed = np.empty(total, np.uint8)
    copy_rows(packed, packed_starts, data, starts, lengths)
    return packed, packed_starts


def split(packed: Bytes, lengths: Ints) -> list[bytes]:
    """Rows that lie one after another, as `bytes` objects."""
    width = packed.size // lengths.size if lengths.size else 0
    if width and (lengths == width).all():
        return list(packed.view(f"V{width}").tolist())
    return list(map(BytesIO(packed.data).read, lengths.tolist()))


def starts_of(lengths: Ints) -> Ints:
    """Where rows of these lengths start when they lie one after another: of 2, 0 and 3, at 0, 2 and 2."""
    starts = np.cumsum(lengths, dtype=np.int64)
    starts -= lengths
    return starts


def ranges(firsts: Ints, counts: Ints) -> Ints:
    """firsts[0], firsts[0] + 1, … (counts[0] numbers), then the same for each next row.

    Of the firsts 3 and 7 with the counts 2 and 3: 3, 4, 7, 8, 9.
    """
    result = np.repeat(firsts - starts_of(counts), counts)  # 3, 3, 5, 5, 5: 0, 1, 2, 3, 4 are added
    result += np.arange(result.size)
    return result


def invalid_utf8(packed: Bytes, starts: Ints, lengths: Ints) -> Ints:
    """Indexes of packed rows that are not UTF-8.

    ASCII is seen at once. Otherwise rows are valid if all of them joined are valid and none starts inside a character:
    C3 and A9 as two rows join to a valid é, but A9, binary 10……, cannot be a first byte. Only when that fails are the
    rows tried one by one.
    """
    if packed.size == 0 or int(packed.max()) < 0x80:
        return np.empty(0, np.int64)
    first_bytes = packed[starts[lengths > 0]]
    if ((first_bytes & 0xC0) != 0x80).all() and _is_utf8(packed.data):
        return np.empty(0, np.int64)
    return np.array([row for row, text in enumerate(split(packed, lengths)) if not _is_utf8(text)], np.int64)


def _is_utf8(text: Any) -> bool:
    try:
        str(text, "utf-8")
    except UnicodeDecodeError:
        return False
    return True
