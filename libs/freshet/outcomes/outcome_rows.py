"""Rows of the labelled log as columns: read from a record, and written to one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, Self

import numpy as np

from freshet.contracts.arrays import Bools, Floats, Floats32, Ints
from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Outcomes

FIRST: Final = 1
"""The first label of its prediction."""
REVISED: Final = 2
"""One of the two rows of a correction: the old label with weight -1, the new one with +1."""
KNOWN_BEFORE: Final = 4
"""The label was there before the prediction: good to learn from, but no measure of what was predicted."""
NO_VALUES: Final = 8
"""The features have expired: the values are NaN."""
ABSENT: Final = 16
"""No label came in time, which is a label: `label: {absent_after, means}`."""

_STORED: Final[Mapping[str, str]] = {
    "prediction_offset": "<i8",
    "label_offset": "<i8",
    "features_offset": "<i8",
    "event_time_ms": "<i8",
    "predicted_ms": "<i8",
    "labelled_ms": "<i8",
    "claimed_ms": "<i8",
    "version": "<u2",
    "epoch": "<i8",
    "fallback": "u1",
    "answer": "<i2",
    "label": "<i2",
    "truth": "<f8",
    "scores": "<f4",
    "weight": "i1",
    "revision": "<i4",
    "flags": "u1",
    "values": "<f4",
}
"""How each column is written. All but versions and flags are wider in memory."""
_DTYPES: Final = {name: np.dtype(dtype) for name, dtype in _STORED.items()}
_columns_of: Final = attrgetter(*_STORED)


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeRows:
    """n rows. Integers are int64, truth is float64 and scores and values are float32; see `Outcomes` for what each is.

    `version` is an index into `versions`.
    """

    versions: tuple[str, ...]
    prediction_offset: Ints
    label_offset: Ints
    features_offset: Ints
    event_time_ms: Ints
    predicted_ms: Ints
    labelled_ms: Ints
    claimed_ms: Ints
    version: Ints
    epoch: Ints
    fallback: Ints
    answer: Ints
    label: Ints
    truth: Floats
    scores: Floats32
    """(n, classes)."""
    weight: Ints
    revision: Ints
    flags: Ints
    values: Floats32
    """(n, width)."""

    def __len__(self) -> int:
        return len(self.weight)

    @classmethod
    def of(cls, record: Outcomes) -> Self:
        """The rows of a record. Raises ContractError if a column's length is not what the record says."""
        check_columns(record)
        return cls.of_all([record])

    @classmethod
    def of_all(cls, records: Sequence[Outcomes]) -> Self:
        """The rows of these records (at least one), all of one width and number of classes, one after the other.

        Each column is made once, however few rows a record has. Who read the records has checked their columns.
        """
        rows = [record.rows for record in records]
        names, codes = version_codes([name for record in records for name in record.versions])
        columns: dict[str, Any] = {}
        for name, dtype in _DTYPES.items():
            joined = b"".join([getattr(record, name) for record in records])
            column = np.frombuffer(joined, dtype)
            columns[name] = column if dtype.kind == "f" else column.astype(np.int64)
        columns["scores"] = columns["scores"].reshape(sum(rows), records[0].classes)
        columns["values"] = columns["values"].reshape(sum(rows), records[0].width)
        firsts = np.cumsum([0, *(len(record.versions) for record in records)])[:-1]
        columns["version"] = codes[columns["version"] + np.repeat(firsts, rows)]
        return cls(names, **columns)

    def columns(self) -> dict[str, bytes]:
        """All columns as the fields of a record."""
        return {name: np.ascontiguousarray(getattr(self, name), dtype).tobytes() for name, dtype in _STORED.items()}

    @classmethod
    def joined(cls, parts: Sequence[Self], *, width: int, classes: int) -> Self:
        """The rows of all parts. Raises ContractError unless all have this many values and scores."""
        for part in parts:
            if part.scores.shape[1] != classes or part.values.shape[1] != width:
                raise ContractError(
                    f"an outcomes record has {part.scores.shape[1]} scores and {part.values.shape[1]} values a row, "
                    f"where {classes} and {width} are asked for."
                )
        if len(parts) == 1:
            return parts[0]
        names, codes = version_codes([name for part in parts for name in part.versions])
        firsts = np.cumsum([0, *(len(part.versions) for part in parts)])[:-1]
        columns = {name: [getattr(part, name) for part in parts] for name in _STORED}
        columns["version"] = [codes[part.version + first] for part, first in zip(parts, firsts, strict=True)]
        none = _none(width, classes)
        return cls(names, **{name: np.concatenate([none[name], *column]) for name, column in columns.items()})

    def take(self, rows: Ints | Bools) -> Self:
        """These rows: by index, or by a mask."""
        return type(self)(self.versions, **{name: getattr(self, name)[rows] for name in _STORED})

    @property
    def first(self) -> Ints:
        """Indexes of first labels that measure a prediction: each prediction once, no label known before it."""
        return np.flatnonzero((self.flags & FIRST != 0) & (self.flags & KNOWN_BEFORE == 0))

    @property
    def counted(self) -> Ints:
        """Indexes of all rows that count when quality is computed, corrections included."""
        return np.flatnonzero(self.flags & KNOWN_BEFORE == 0)


def check_columns(record: Outcomes) -> None:
    """Raises ContractError if a column has not as many bytes as the record says, or rows name no version of it."""
    sizes = _row_bytes(record.width, record.classes)
    for name, size, data in zip(_STORED, sizes, _columns_of(record), strict=True):
        if len(data) != record.rows * size:
            raise ContractError(
                f"the column {name} of an outcomes record has {len(data)} bytes, which is not what {record.rows} "
                "rows take: a stranger wrote it, or it was damaged."
            )
    if record.rows and _largest(record.version) >= len(record.versions):
        raise ContractError("an outcomes record names fewer versions than its rows count.")


@lru_cache(maxsize=64)
def _row_bytes(width: int, classes: int) -> list[int]:
    """Bytes of a row in each column."""
    more = {"scores": classes, "values": width}
    return [dtype.itemsize * more.get(name, 1) for name, dtype in _DTYPES.items()]


def _largest(version: bytes) -> int:
    """The largest index in the column; in most records one version answered, whose index is 0."""
    return int(np.frombuffer(version, _DTYPES["version"]).max()) if version.strip(b"\0") else 0


assert tuple(_STORED) == tuple(field.name for field in fields(OutcomeRows))[1:]


def _none(width: int, classes: int) -> dict[str, Any]:
    """The columns of no rows."""
    shapes = {"scores": (0, classes), "values": (0, width)}
    kinds = {name: np.dtype(dtype) for name, dtype in _STORED.items()}
    return {
        name: np.zeros(shapes.get(name, (0,)), kind if kind.kind == "f" else np.int64) for name, kind in kinds.items()
    }


def version_codes(names: Sequence[str]) -> tuple[tuple[str, ...], Ints]:
    """The names without repetition, in order of first appearance, and where each name stands among them."""
    known: dict[str, int] = {}
    codes = np.fromiter((known.setdefault(name, len(known)) for name in names), np.int64, len(names))
    return tuple(known), codes
