"""The columns that records are made of: numbers, text, lists of numbers, each for all rows at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from freshet.avro.ragged import pack, split, starts_of, windows
from freshet.contracts.arrays import Bools, Bytes, Ints, Ints32

NumericColumn: TypeAlias = NDArray[Any]
"""bool for boolean, int32 for int, int64 for long, float32 for float, float64 for double; one dimension."""

Rows: TypeAlias = Ints | Bools
"""Which rows to take: their indexes, in any order and as often as wanted, or a mask of all."""


@dataclass(frozen=True, slots=True, eq=False)
class Strings:
    """Text (UTF-8) or bytes: row i is `data[starts[i] : starts[i] + lengths[i]]`. Rows may share bytes.

    Raises ValueError if a row lies outside `data`.
    """

    data: Bytes
    starts: Ints
    lengths: Ints

    def __post_init__(self) -> None:
        if self.starts.shape != self.lengths.shape or self.starts.ndim != 1:
            raise ValueError(f"starts {self.starts.shape} and lengths {self.lengths.shape} must be (n,) alike.")
        if self.lengths.size and (
            int(self.lengths.min()) < 0
            or int(self.starts.min()) < 0
            or int((self.starts + self.lengths).max()) > self.data.size
        ):
            raise ValueError(f"a row lies outside the {self.data.size} bytes of data.")

    @classmethod
    def from_list(cls, rows: Sequence[str] | Sequence[bytes]) -> Self:
        """A column of these rows. Raises ValueError for text that UTF-8 cannot hold (a lone surrogate)."""
        encoded = [row.encode() if isinstance(row, str) else row for row in rows]
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        return cls(np.frombuffer(b"".join(encoded), np.uint8), starts_of(lengths), lengths)

    @classmethod
    def repeat(cls, value: str | bytes, n: int) -> Self:
        """The same text or bytes n times, held once."""
        data = np.frombuffer(value.encode() if isinstance(value, str) else value, np.uint8)
        return cls(data, np.zeros(n, np.int64), np.full(n, data.size, np.int64))

    def __len__(self) -> int:
        return self.lengths.size

    def take(self, rows: Rows) -> "Strings":
        """These rows in this order, sharing the data."""
        return Strings(self.data, self.starts[rows], self.lengths[rows])

    def equal(self, text: bytes) -> Bools:
        """Which rows are this text: they are compared in words of up to 8 bytes, the last of which may overlap."""
        alike: Bools = self.lengths == len(text)
        if text:
            width = 8 if len(text) >= 8 else 4 if len(text) >= 4 else 2 if len(text) >= 2 else 1
            words: NDArray[Any] = windows(self.data, width).view(f"<u{width}")
            for at in (*range(0, len(text) - width, width), len(text) - width):
                rows = np.flatnonzero(alike)
                alike[rows] = words[self.starts[rows] + at] == int.from_bytes(text[at : at + width], "little")
        return alike

    def tobytes(self) -> list[bytes]:
        """One `bytes` per row."""
        return split(pack(self.data, self.starts, self.lengths)[0], self.lengths)

    def tolist(self) -> list[str]:
        """One `str` per row; raises UnicodeDecodeError if a row is not UTF-8."""
        return list(map(bytes.decode, self.tobytes()))


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """Lists of numbers: the first `lengths[0]` of `flat` are row 0, the next `lengths[1]` row 1, and so on.

    `flat` is int32, int64, float32 or float64. Raises ValueError if the lengths do not add up to it.
    """

    flat: NumericColumn
    lengths: Ints

    def __post_init__(self) -> None:
        if self.flat.ndim != 1 or self.lengths.ndim != 1:
            raise ValueError(f"flat {self.flat.shape} and lengths {self.lengths.shape} must have one dimension.")
        if int(self.lengths.sum()) != self.flat.size or int(self.lengths.min(initial=0)) < 0:
            raise ValueError(f"the lengths must be ≥ 0 and add up to {self.flat.size} values.")

    @classmethod
    def from_matrix(cls, matrix: NDArray[Any]) -> Self:
        """Rows of equal length, from an array (n, width)."""
        n, width = matrix.shape
        return cls(np.ascontiguousarray(matrix).reshape(-1), np.full(n, width, np.int64))

    def __len__(self) -> int:
        return self.lengths.size

    def matrix(self, width: int) -> NDArray[Any]:
        """The rows as an array (n, width), without copying; raises ValueError if a row has another length."""
        wrong = np.flatnonzero(self.lengths != width)
        if wrong.size:
            raise ValueError(f"row {wrong[0]} holds {self.lengths[wrong[0]]} values, not {width}.")
        return self.flat.reshape(-1, width) if width else self.flat.reshape(len(self), 0)

    def take(self, rows: Rows) -> "Ragged":
        """These rows in this order, copied."""
        item = self.flat.itemsize
        data = np.ascontiguousarray(self.flat).view(np.uint8)
        chosen = self.lengths[rows]
        packed, _ = pack(data, starts_of(self.lengths)[rows] * item, chosen * item)
        return Ragged(packed.view(self.flat.dtype), chosen)


@dataclass(frozen=True, slots=True, eq=False)
class Enum:
    """An Avro enum: row i is `symbols[codes[i]]`."""

    codes: Ints32
    symbols: tuple[str, ...]

    def __len__(self) -> int:
        return self.codes.size

    def take(self, rows: Rows) -> "Enum":
        """These rows in this order."""
        return Enum(self.codes[rows], self.symbols)

    def tolist(self) -> list[str]:
        """One symbol per row."""
        return [self.symbols[code] for code in self.codes.tolist()]


@dataclass(frozen=True, slots=True, eq=False)
class Nullable:
    """An optional column: where `valid` is False the row is null and `values` holds a filler (0, empty)."""

    values: "Column"
    valid: Bools

    def __post_init__(self) -> None:
        if self.valid.dtype != np.bool_ or self.valid.shape != (len(self.values),):
            raise ValueError(f"valid must be bool ({len(self.values)},), one for each value.")

    def __len__(self) -> int:
        return self.valid.size

    def take(self, rows: Rows) -> "Nullable":
        """These rows in this order."""
        return Nullable(take(self.values, rows), self.valid[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """What has no columnar form (maps, lists of text or records, wider unions): one Python object per row."""

    values: list[Any]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Rows) -> "Objects":
        """These rows in this order."""
        return Objects([self.values[row] for row in np.arange(len(self))[rows].tolist()])


Column: TypeAlias = NumericColumn | Strings | Ragged | Enum | Nullable | Objects
Columns: TypeAlias = Mapping[str, Column]
"""Fields of a record by name, all of equal length; a nested record's field is named `outer.inner`."""

C = TypeVar("C", bound=Column)


def take(column: C, rows: Rows) -> C:
    """These rows of any column, in this order."""
    return cast(C, column[rows] if isinstance(column, np.ndarray) else column.take(rows))


def concat(columns: Sequence[C]) -> C:
    """Columns of one kind, one after another; at least one."""
    first, parts = columns[0], cast(Sequence[Any], columns)
    joined: Column
    if isinstance(first, np.ndarray):
        joined = np.concatenate(parts)
    elif isinstance(first, Strings):
        shifts = starts_of(np.array([part.data.size for part in parts]))
        joined = Strings(
            np.concatenate([part.data for part in parts]),
            np.concatenate([part.starts + shift for part, shift in zip(parts, shifts, strict=True)]),
            np.concatenate([part.lengths for part in parts]),
        )
    elif isinstance(first, Ragged):
        joined = Ragged(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("flat", "lengths")))
    elif isinstance(first, Enum):
        joined = Enum(np.concatenate([part.codes for part in parts]), first.symbols)
    elif isinstance(first, Nullable):
        joined = Nullable(concat([part.values for part in parts]), np.concatenate([part.valid for part in parts]))
    else:
        joined = Objects([value for part in parts for value in part.values])
    return cast(C, joined)
