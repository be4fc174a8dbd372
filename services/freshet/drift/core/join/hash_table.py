"""Id hash → row number, for rows that are numbered upwards and go oldest first.

Buckets of 64 bytes, so that one probe reads one cache line: seven slots, each 32 bits of the hash above 32 bits of the
row number + 1, and a last word. Where the 32 bits agree, the row's whole hash decides.

* Eviction costs nothing: a slot whose row number lies outside [floor, next) is free, and the next insert may use it.
* Growth has no pauses (linear hashing, Litwin 1980): buckets are split in order, some with each insert. A split is two
  slices, because bucket b goes to b and b + 2^bits.
* A row that finds its bucket full goes to a dict; the bucket's last word says until which row number it has such rows.

Measured with 10^7 rows, in batches of 5,000: a probe takes 0.2 µs, an insert 0.5 µs.
"""

from collections.abc import Callable
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from freshet.contracts.arrays import Ints
from freshet.drift.core.join.hashing import Hashes

MOST_NUMBER: Final = 1 << 31
"""Row numbers may not reach it: their low 32 bits tell the age of a slot."""

_WORDS: Final = 8
_SLOTS: Final = 7
_LOAD: Final = 0.4
_FIRST_BITS: Final = 6
_SPLIT_AT_ONCE: Final = 1 << 16
_SWEEP: Final = 256
_LOW: Final = np.uint64(0xFFFFFFFF)
_TAG: Final = np.uint64(0xFFFFFFFF00000000)
_SHIFT: Final = np.uint64(32)


def _free_slots() -> Ints:
    """[which slots are free, as bits][n] → the n-th free slot, -1 if there are fewer."""
    nth = np.full((256, _WORDS), -1, np.int64)
    for bits in range(256):
        free = [slot for slot in range(_SLOTS) if bits >> slot & 1]
        nth[bits, : len(free)] = free
    return nth


_NTH_FREE: Final = _free_slots()


class HashTable:
    """Finds the row of a hash. Holds nothing of the rows but their numbers."""

    def __init__(self, hashes_of: Callable[[Ints], Hashes]) -> None:
        """`hashes_of` gives the whole hashes of rows by number."""
        self._hashes_of = hashes_of
        self._slots: NDArray[np.uint64] = np.zeros((2 << _FIRST_BITS, _WORDS), np.uint64)
        self._bits, self._split = _FIRST_BITS, 0  # buckets below `_split` already use one bit more
        self._over: dict[int, int] = {}
        self._entries = 0  # inserted and not yet known to be gone
        self.floor = self.next = 0

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self._slots.nbytes + len(self._over) * 120

    def find(self, hashes: Hashes) -> Ints:
        """Row number of each hash, -1 where there is none."""
        result = np.full(hashes.size, -1, np.int64)
        if hashes.size == 0 or self.floor == self.next:
            return result
        tags = hashes >> _SHIFT
        lines = self._slots[self._buckets(tags)]
        at = np.flatnonzero(lines.view("<u4")[:, 1::2] == tags.astype(np.uint32)[:, None])
        rows = (lines.ravel()[at] & _LOW).astype(np.int64) - 1
        live = (at & 7 != _SLOTS) & (rows >= self.floor) & (rows < self.next)
        at, rows = at[live], rows[live]
        probe = at >> 3
        same = self._hashes_of(rows) == hashes[probe]
        result[probe[same]] = rows[same]
        if self._over:
            # the word may exceed `next`: rows of a discarded batch; it must not hide older ones
            look = np.flatnonzero((result < 0) & (lines[:, _SLOTS] > np.uint64(self.floor)))
            found = [self._over.get(key, -1) for key in hashes[look].tolist()]
            result[look] = [row if row >= self.floor else -1 for row in found]
        return result

    def insert(self, hashes: Hashes, rows: Ints) -> None:
        """Add rows: distinct hashes that `find` does not know, row numbers ascending. Call `advance` first."""
        if hashes.size == 0:
            return
        self._entries += hashes.size
        self._grow()
        buckets = self._buckets(hashes >> _SHIFT)
        packed = np.sort(buckets << 32 | np.arange(buckets.size))  # many times faster than an argsort
        order, in_order = packed & 0xFFFFFFFF, packed >> 32
        first = np.flatnonzero(np.append(True, in_order[1:] != in_order[:-1]))
        rank = np.arange(order.size) - np.repeat(first, np.diff(np.append(first, order.size)))
        held = (self._slots[in_order] & _LOW).astype(np.int64) - 1
        free = np.packbits((held < self.floor) | (held >= self.next), axis=1, bitorder="little")[:, 0]
        slot = _NTH_FREE[free, np.minimum(rank, _SLOTS)]
        fits = slot >= 0
        chosen = order[fits]
        self._slots[in_order[fits], slot[fits]] = _words(hashes[chosen], rows[chosen])
        if not fits.all():
            late = np.sort(order[~fits])
            self._over.update(zip(hashes[late].tolist(), rows[late].tolist(), strict=True))
            np.maximum.at(self._slots[:, _SLOTS], buckets[late], (rows[late] + 1).astype(np.uint64))

    def remove(self, hashes: Hashes, rows: Ints) -> None:
        """Take these rows out again."""
        buckets = self._buckets(hashes >> _SHIFT)
        at, slot = np.nonzero(self._slots[buckets, :_SLOTS] == _words(hashes, rows)[:, None])
        self._slots[buckets[at], slot] = 0
        spilled = np.ones(hashes.size, np.bool_)
        spilled[at] = False
        for key, row in zip(hashes[spilled].tolist(), rows[spilled].tolist(), strict=True):
            if self._over.get(key) == row:
                del self._over[key]
        self._entries -= hashes.size

    def advance(self, floor: int, upto: int) -> None:
        """Rows below `floor` are gone from now on, rows below `upto` may be inserted."""
        self._entries -= min(self._entries, floor - self.floor)
        self.floor, self.next = floor, upto
        gone = [key for key, row in islice(self._over.items(), _SWEEP) if row < floor]
        for key in gone:
            del self._over[key]

    def _buckets(self, tags: Hashes) -> Ints:
        narrow = tags & np.uint64((1 << self._bits) - 1)
        wide = tags & np.uint64((2 << self._bits) - 1)
        return np.where(narrow < np.uint64(self._split), wide, narrow).astype(np.int64)

    def _grow(self) -> None:
        """Split as many buckets as the load asks for."""
        left = min(int(self._entries / (_LOAD * _SLOTS)) + 1 - (1 << self._bits) - self._split, _SPLIT_AT_ONCE)
        while left > 0:
            count = min(left, (1 << self._bits) - self._split)
            low = slice(self._split, self._split + count)
            high = slice(low.start + (1 << self._bits), low.stop + (1 << self._bits))
            if high.stop > len(self._slots):
                self._slots = np.concatenate([self._slots, np.zeros_like(self._slots)])
            source: Any = self._slots[low]
            moved = (source >> np.uint64(32 + self._bits)) & np.uint64(1) != 0
            moved[:, _SLOTS] = False
            self._slots[high] = np.where(moved, source, 0)
            self._slots[high, _SLOTS] = source[:, _SLOTS]
            source[moved] = 0
            self._split += count
            left -= count
            if self._split == 1 << self._bits:
                self._bits, self._split = self._bits + 1, 0


def _words(hashes: Hashes, rows: Ints) -> Hashes:
    return (hashes & _TAG) | (rows + 1).astype(np.uint64)
