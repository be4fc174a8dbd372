"""Avro's integers (zig-zag varints of 1 to 10 bytes), many at once.

Zig-zag puts the sign into the lowest bit: 0, -1, 1, -2 … become 0, 1, 2, 3 … A varint holds seven bits of that number
in each byte, lowest first; the highest bit (0x80) says that another byte follows. So 300 is 600 after zig-zag, binary
100 1011000, and is written D8 04: 1011000 with the highest bit set, then 100.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from freshet.avro.ragged import Voids, windows
from freshet.contracts.arrays import Bools, Bytes, Ints

Unsigned = NDArray[Any]
"""uint8 or uint64: numpy's types forget that an unsigned array stays so beside a plain int."""
Words = NDArray[Any]
"""uint64."""

LONGEST = 10
_CONTINUED = 0x8080808080808080
_SMALLEST = np.array([0, 0, *(1 << 7 * (size - 1) for size in range(2, LONGEST + 1))], np.uint64)
"""The smallest number that needs a varint of so many bytes, by size."""


def read_varints(buffer: Bytes, words: Voids, at: Ints) -> tuple[Unsigned, Ints | int, Bools | None]:
    """Read one varint at each position: the raw (still zig-zagged) numbers, their sizes, and which are malformed.

    `words` is `windows(buffer, 8)`; every position must have 10 bytes after it. Malformed is: longer than 10 bytes,
    more than 64 bits, or not the shortest form (a number has one encoding only; no known writer pads). None means
    that none is malformed.

    Eight bytes are taken as one little-endian number, so the first byte is the lowest. For D8 04 and any six bytes:

        word   ...04D8   04 is the first byte without the highest bit: the varint ends there
        stops  ...8000   the highest bit of each byte that could be a last one; the lowest of them counts
        kept      FFFF   x ^ (x - 1) sets all bits up to the lowest one of x
        raw       0458   the kept bytes without their highest bits: 1011000 and 100, with a gap of one bit
                  0258   which is 600: the gaps are closed between bytes, then between pairs, then between fours
        size         2   the number of kept bits, divided by 8
    """
    first = buffer[at]
    if first.size == 0 or int(first.max()) < 0x80:
        return first, 1, None
    word: Words = words[at].view("<u8")
    stops: Words = ~word & _CONTINUED
    kept: Words = stops ^ (stops - 1)
    raw: Words = word & kept & 0x7F7F7F7F7F7F7F7F
    raw = (raw & 0x007F007F007F007F) | ((raw & 0x7F007F007F007F00) >> 1)
    raw = (raw & 0x00003FFF00003FFF) | ((raw & 0x3FFF00003FFF0000) >> 2)
    raw = (raw & 0x000000000FFFFFFF) | ((raw & 0x0FFFFFFF00000000) >> 4)
    sizes = (np.bitwise_count(kept) >> 3).astype(np.int64)
    bad = None
    if not stops.all():
        bad = _read_long(buffer, at, raw, sizes, np.flatnonzero(stops == 0))
    padded = raw < _SMALLEST[sizes]
    if padded.any():
        bad = padded if bad is None else bad | padded
    return raw, sizes, bad


def _read_long(buffer: Bytes, at: Ints, raw: Words, sizes: Ints, rows: Ints) -> Bools:
    """Finish, in place, the rows whose varint goes on after eight bytes, which have given 56 bits.

    The ninth byte gives seven more, and a tenth can only be 1, for bit 63.
    """
    ninth = buffer[at[rows] + 8].astype(np.uint64)
    tenth = np.where(ninth < 0x80, 0, buffer[at[rows] + 9]).astype(np.uint64)
    raw[rows] |= ((ninth & 0x7F) << 56) | (tenth << 63)
    sizes[rows] = np.where(ninth < 0x80, 9, 10)
    bad = np.zeros(raw.size, np.bool_)
    bad[rows] = tenth > 1
    return bad


def unzigzag(raw: Unsigned) -> Ints:
    """0, 1, 2, 3, … → 0, -1, 1, -2, …"""
    signed: Ints = ((raw >> 1) ^ -(raw & 1)).view(f"i{raw.itemsize}").astype(np.int64, copy=False)
    return signed


def zigzag(values: Ints) -> Words:
    """0, -1, 1, -2, … → 0, 1, 2, 3, …"""
    return ((values << 1) ^ (values >> 63)).view(np.uint64)


class Varints:
    """Numbers about to be written as varints, one per row, at least one row.

    `sizes` is the bytes of each row, or one number where all rows have as many. `low` and `high` are the least and the
    largest number; where they are equal, only one row is worked out.
    """

    def __init__(self, values: Ints) -> None:
        self.low, self.high = int(values.min()), int(values.max())
        raw = zigzag(values if self.low < self.high else values[:1])
        if self.low >= 0:  # lengths, offsets: zig-zag keeps their order, so the ends are known
            self._least, self._most = _size(2 * self.low), _size(2 * self.high)
        else:
            self._least, self._most = _size(int(raw.min())), _size(int(raw.max()))
        self.sizes: Ints | int = self._least
        if self._most > self._least:
            self.sizes = np.full(raw.size, self._least, np.int64)
            for size in range(self._least + 1, self._most + 1):
                self.sizes += raw >= _SMALLEST[size]
        self._bytes = raw.astype(np.uint8).reshape(-1, 1) if self._most == 1 else self._spread(raw)

    def _spread(self, raw: Words) -> Bytes:
        """Seven bits to a byte, with continuation bits: uint8 (n, 8), or (n, 16) when some need more than eight.

        `read_varints` backwards: 0258 is pulled apart to 0458, and the highest bit is set in all bytes but the last:
        04D8, which lies in memory as D8 04.
        """
        words = np.empty((raw.size, 1 if self._most <= 8 else 2), np.dtype("<u8"))
        low = raw & 0x00FFFFFFFFFFFFFF
        low = (low & 0x000000000FFFFFFF) | ((low & 0x00FFFFFFF0000000) << 4)
        low = (low & 0x00003FFF00003FFF) | ((low & 0x0FFFC0000FFFC000) << 2)
        low = (low & 0x007F007F007F007F) | ((low & 0x3F803F803F803F80) << 1)
        words[:, 0] = low | _CONTINUATIONS[self.sizes]
        if self._most > 8:
            high = raw >> 56
            words[:, 1] = (high & 0x7F) | np.where(high > 0x7F, 0x180, 0).astype(np.uint64)
        return words.view(np.uint8)

    @property
    def same(self) -> bytes | None:
        """The bytes of every row, if all rows hold the same number."""
        return self._bytes[0, : self._least].tobytes() if self.low == self.high else None

    def write(self, out: Bytes, at: Ints) -> None:
        """Put row i at `at[i]`, touching exactly its own bytes.

        The bytes that every row has go in one block copy; then the second, third … byte of the rows that have one. With
        rows of 1, 3 and 2 bytes: first bytes of all, second bytes of two rows, the third byte of one.
        """
        rows, stride = self._bytes.shape
        windows(out, self._least)[at] = np.ndarray((rows,), f"V{self._least}", self._bytes, 0, (stride,))
        for index in range(self._least, self._most):
            longer = np.flatnonzero(self.sizes > index)
            out[at[longer] + index] = self._bytes[longer, index]


_CONTINUATIONS = np.array(
    [0, *(_CONTINUED & ((1 << 8 * min(size - 1, 8)) - 1) for size in range(1, LONGEST + 1))], np.uint64
)
"""The continuation bits of the first eight bytes of a varint, by its size."""


def _size(raw: int) -> int:
    return max(1, -(-raw.bit_length() // 7))
