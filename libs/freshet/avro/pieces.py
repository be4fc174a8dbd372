"""Parts of rows on their way into one buffer, each written for all rows at once.

Two rows with the fields "a" and 1.5, then "bcd" and 2.5, are made of three pieces: the length of the text (one byte in
each row), its bytes (1 and 3) and the double (8 bytes in each row). The rows start at 0 and 10; each piece is written
where the one before it has ended: at 0 and 10, then 1 and 11, then 2 and 14.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from freshet.avro.ragged import copy_rows, windows
from freshet.contracts.arrays import Bytes, Ints


class Piece(Protocol):
    """A part of every row: how many bytes it takes there, and how to put row i at `at[i]` of a buffer."""

    @property
    def sizes(self) -> Ints | int: ...

    @property
    def same(self) -> bytes | None:
        """The bytes, where they are known to be the same in every row."""

    def write(self, out: Bytes, at: Ints) -> None: ...


class Same:
    """The same bytes in each row."""

    def __init__(self, data: bytes) -> None:
        self.same = data
        self.sizes = len(data)

    def write(self, out: Bytes, at: Ints) -> None:
        windows(out, self.sizes)[at] = np.frombuffer(self.same, f"V{self.sizes}")


class Fixed:
    """The same number of bytes in each row."""

    same = None

    def __init__(self, values: np.ndarray[Any, Any]) -> None:
        self.sizes = values.itemsize
        self._values = values.view(f"V{values.itemsize}")

    def write(self, out: Bytes, at: Ints) -> None:
        windows(out, self.sizes)[at] = self._values


class Copied:
    """Bytes that lie somewhere already."""

    same = None

    def __init__(self, data: Bytes, starts: Ints, lengths: Ints) -> None:
        self.sizes = lengths
        self._data = data
        self._starts = starts

    def write(self, out: Bytes, at: Ints) -> None:
        copy_rows(out, at, self._data, self._starts, self.sizes)


class Some:
    """A piece that only some rows have."""

    same = None

    def __init__(self, piece: Piece, rows: Ints, n: int) -> None:
        self._piece = piece
        self._rows = rows
        self.sizes = np.zeros(n, np.int64)
        self.sizes[rows] = piece.sizes

    def write(self, out: Bytes, at: Ints) -> None:
        self._piece.write(out, at[self._rows])


def merged(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The same pieces, but neighbours that are the same in every row become one: each costs a pass over all rows."""
    known = b""
    for piece in pieces:
        if piece.same is not None:
            known += piece.same
            continue
        if known:
            yield Same(known)
            known = b""
        yield piece
    if known:
        yield Same(known)
