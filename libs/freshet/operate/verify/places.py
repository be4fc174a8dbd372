"""Records as numbers: partition and offset in one int64, and texts as 64-bit hashes."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from freshet.avro import Strings
from freshet.contracts.arrays import Ints, Ints32

_OFFSET_BITS: Final = 44  # 2^44 records in a partition, 2^19 partitions
_OFFSET_MASK: Final = (1 << _OFFSET_BITS) - 1
_PARTITIONS: Final = 1 << 19

NOWHERE: Final = -1
"""The identity of a place that no topic can have: a negative offset, for example."""
NOTHING: Final[Ints] = np.empty(0, dtype=np.int64)


def identity(partitions: Ints | Ints32, offsets: Ints) -> Ints:
    """One number for each (partition, offset): sorts by partition, then offset."""
    wide, deep = partitions.astype(np.int64), offsets.astype(np.int64)
    possible = (wide >= 0) & (wide < _PARTITIONS) & (deep >= 0) & (deep <= _OFFSET_MASK)
    return np.where(possible, (wide << _OFFSET_BITS) | deep, NOWHERE)


def partitions_of(ids: Ints) -> Ints:
    """The partitions in these identities; -1 for NOWHERE."""
    return ids >> _OFFSET_BITS


def offsets_of(ids: Ints) -> Ints:
    """The offsets in these identities."""
    return ids & _OFFSET_MASK


def place(identifier: int) -> str:
    """`partition/offset` of an identity, for people."""
    return "nowhere" if identifier == NOWHERE else f"{identifier >> _OFFSET_BITS}/{identifier & _OFFSET_MASK}"


def looked_up(table: Mapping[int, int], keys: Ints, default: int) -> Ints:
    """The value of each key, int64 (n,)."""
    found = np.full(len(keys), default, dtype=np.int64)
    for key, value in table.items():
        found[keys == key] = value
    return found


def hashes(column: Strings) -> Ints:
    """64 bits of each text, int64 (n,): equal texts are equal, others differ but for one pair in 2⁶⁴.

    They are keyed anew in each process, so nobody can choose texts that collide; compare them only within one.
    """
    return np.fromiter(map(hash, column.tobytes()), np.int64, len(column))


def hashed(text: str | bytes) -> int:
    """The hash that `hashes` gives this text."""
    return hash(text.encode() if isinstance(text, str) else text)


def mixed(*columns: Ints) -> Ints:
    """One number for each row, equal where all columns are equal, and else different but for one pair in 2⁶⁴."""
    found = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        found = (found ^ column.view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        found ^= found >> np.uint64(29)
    return found.view(np.int64)


def spread(ids: Ints, seed: int) -> Ints:
    """Well-mixed numbers ≥ 0, the same for the same ids and seed on any machine: the order of a random sample."""
    mixed = ids.astype(np.uint64) + np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return (mixed >> np.uint64(1)).astype(np.int64)


def codes(*columns: Ints) -> Ints:
    """A small number ≥ 0 for each row, equal exactly where all columns are equal; int64 (n,). For up to 2³¹ rows."""
    combined = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        values, ranks = np.unique(column, return_inverse=True)
        combined = combined * len(values) + ranks
        _, combined = np.unique(combined, return_inverse=True)
    return combined.astype(np.int64, copy=False)
