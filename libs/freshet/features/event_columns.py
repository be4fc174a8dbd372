"""Event columns in the form that transforms compute with: float64 with NaN for null, or positions in a vocabulary."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from freshet.avro.columns import Column, Enum, Nullable, Strings
from freshet.avro.ragged import windows
from freshet.contracts.arrays import Floats, Floats32, Ints

FLOAT32_MAX: Final = float(np.finfo(np.float32).max)

Finite32 = Annotated[float, Field(ge=-FLOAT32_MAX, le=FLOAT32_MAX)]
"""A parameter that float32 can hold."""

ABSENT: Final = -1
"""Position of what is not in a vocabulary."""


def numbers(column: Column) -> Floats:
    """A numeric or boolean column as float64 (n,), NaN where it is null. Whole numbers above 2⁵³ are rounded."""
    if isinstance(column, Nullable):
        return np.where(column.valid, numbers(column.values), np.nan)
    if not isinstance(column, np.ndarray):
        raise TypeError(f"a {type(column).__name__} column holds no numbers.")
    return column.astype(np.float64)


def one_column(values: Floats) -> Floats32:
    """float64 (n,) as a feature, float32 (n, 1); beyond float32 becomes infinite."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32).reshape(-1, 1)


class Vocabulary:
    """A fixed list of distinct texts or of distinct whole numbers, and where a column's values stand in it."""

    def __init__(self, choices: Sequence[int | str]) -> None:
        self._positions: dict[Any, int] = {choice: position for position, choice in enumerate(choices)}
        self._texts: dict[int, tuple[NDArray[Any], Ints]] = {}
        by_length: dict[int, list[tuple[bytes, int]]] = {}
        for choice, position in self._positions.items():
            if isinstance(choice, str):
                by_length.setdefault(len(choice.encode()), []).append((choice.encode(), position))
        for length, entries in by_length.items():
            self._texts[length] = _sorted(entries, f"S{length}")
        whole = [(choice, position) for choice, position in self._positions.items() if isinstance(choice, int)]
        self._whole = _sorted(whole, "i8")

    def find(self, column: Column) -> Ints:
        """Position of each row's value, ABSENT if it is not in the vocabulary or null; int64 (n,)."""
        if isinstance(column, Nullable):
            return np.where(column.valid, self.find(column.values), ABSENT)
        if isinstance(column, Enum):
            table = np.array([self._positions.get(symbol, ABSENT) for symbol in column.symbols], np.int64)
            return table[column.codes]
        if isinstance(column, Strings):
            return self._find_texts(column)
        if isinstance(column, np.ndarray):
            return _look_up(column, *self._whole)
        raise TypeError(f"a {type(column).__name__} column has no vocabulary.")

    def _find_texts(self, column: Strings) -> Ints:
        """Rows of one length at a time, as fixed-width items.

        With the vocabulary `cat`, `dog`, `horse`, all rows of three bytes are gathered as items of three bytes and
        looked up among the two words of that length; then the rows of five.
        """
        found = np.full(len(column), ABSENT, np.int64)
        for length, (texts, positions) in self._texts.items():
            rows = np.flatnonzero(column.lengths == length)
            if length == 0:
                found[rows] = positions[0]
            elif rows.size:
                items = windows(column.data, length)[column.starts[rows]].view(texts.dtype)
                found[rows] = _look_up(items, texts, positions)
        return found


def _sorted(entries: list[tuple[Any, int]], dtype: str) -> tuple[NDArray[Any], Ints]:
    ordered = sorted(entries)
    return np.array([value for value, _ in ordered], dtype), np.array([at for _, at in ordered], np.int64)


def _look_up(values: NDArray[Any], known: NDArray[Any], positions: Ints) -> Ints:
    """The position of each value; `known` is sorted, so a value that is in it stands where it would be inserted."""
    if known.size == 0:
        return np.full(values.size, ABSENT, np.int64)
    at = np.minimum(np.searchsorted(known, values), known.size - 1)
    return np.where(known[at] == values, positions[at], ABSENT)
