"""Structured rows that are numbered upwards and go oldest first, in memory that doubles when it is full."""

from typing import Any, Final

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.drift.core.join.join_rows import Table, whole

_FIRST_ROWS: Final = 1 << 10


class Ring:
    """Row n lies at n modulo the capacity, a power of two; those with floor ≤ n < next are there."""

    def __init__(self, kind: np.dtype[Any]) -> None:
        self.kind = kind
        self._rows: Table = np.zeros(_FIRST_ROWS, kind)
        self.floor = self.next = 0

    def __len__(self) -> int:
        return self.next - self.floor

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self._rows.nbytes

    @property
    def capacity(self) -> int:
        """So many rows it takes before it grows."""
        return self._rows.size

    def append(self, rows: Table) -> Ints:
        """Add rows at the end; their numbers."""
        self._reserve(len(self) + rows.size)
        numbers = np.arange(self.next, self.next + rows.size)
        whole(self._rows)[self._at(numbers)] = whole(rows)
        self.next += rows.size
        return numbers

    def take(self, numbers: Ints) -> Table:
        """A copy of these rows."""
        return self._rows.take(self._at(numbers))

    def column(self, name: str, numbers: Ints) -> Any:
        """One field of these rows."""
        return self._rows[name][self._at(numbers)]

    def put(self, numbers: Ints, rows: Table) -> None:
        """Replace these rows."""
        whole(self._rows)[self._at(numbers)] = whole(rows)

    def put_column(self, name: str, numbers: Ints, values: Any) -> None:
        """Replace one field of these rows."""
        self._rows[name][self._at(numbers)] = values

    def search(self, name: str, value: int) -> int:
        """Number of the first row whose field is not below the value, else `next`. The field never goes down."""
        column, low, high = self._rows[name], self.floor, self.next
        while low < high:
            middle = (low + high) // 2
            if column[middle & (self._rows.size - 1)] < value:
                low = middle + 1
            else:
                high = middle
        return low

    def renumber(self) -> int:
        """Let numbers begin near 0 again: by how much they are smaller now."""
        shift = self.floor - self.floor % self._rows.size
        self.floor, self.next = self.floor - shift, self.next - shift
        return shift

    def _at(self, numbers: Ints) -> Ints:
        return numbers & (self._rows.size - 1)

    def _reserve(self, count: int) -> None:
        if count <= self._rows.size:
            return
        numbers = np.arange(self.floor, self.next)
        rows = self.take(numbers)
        self._rows = np.zeros(1 << (count - 1).bit_length(), self.kind)
        whole(self._rows)[self._at(numbers)] = whole(rows)
