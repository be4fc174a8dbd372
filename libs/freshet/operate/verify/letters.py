"""Dead letters as columns, and whether each holds the bytes of the record that it stands for."""

import hashlib
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.contracts.batch import Batch, Record, read_headers
from freshet.operate.verify.evidence import Letters, Life
from freshet.operate.verify.places import hashed, identity
from freshet.runtime import dead_letter_records

_INPUTS: Final = frozenset({"events", "feedback", "features"})
_OF_DRIFT: Final = frozenset({"predictions", "labels", "outcomes"})
"""Drift's services set strangers' records aside, too: no event's answer."""
_FAR: Final = 1 << 62  # an offset of a stranger's may not fit 64 bits
_EXPIRED: Final = b"input_expired"  # stands for a range of records that nobody read: it holds no bytes


_WHOLE: Final = 0
_NO_BYTES: Final = -1


class _Row(NamedTuple):
    """One letter as numbers: where it is, what it stands for, and what it holds. Lengths are -1 for null."""

    partition: int
    offset: int
    input_partition: int
    input_offset: int
    life: int
    key_length: int
    value_length: int
    print: int
    digest: int
    """Hash of the sha256 of the whole value where the letter is cut; else _WHOLE, or _NO_BYTES."""


_Table = dict[str, Ints]
"""Columns by the names of `_Row`."""


class LetterReader:
    """Takes in the dead letters first, then the records that they may stand for."""

    def __init__(self, topic_ids: Mapping[str, str]) -> None:
        """`topic_ids`: the present id of each input topic."""
        self._topic_ids = topic_ids
        self._parts: dict[str, list[Ints]] = {role: [] for role in sorted(_INPUTS)}
        self._foreign: list[tuple[int, int]] = []
        self.records = 0

    def add(self, batch: Batch) -> None:
        """Dead letters, in log order of each partition."""
        self.records += len(batch)
        rows: dict[str, list[_Row]] = {}
        for record in batch.records:
            origin = dead_letter_records.origin(read_headers(record))
            if origin is not None and origin[0] in _OF_DRIFT:
                continue
            if origin is None or origin[0] not in _INPUTS:
                self._foreign.append((record.partition(), record.offset()))
            else:
                rows.setdefault(origin[0], []).append(_row(record, origin[1:], self._topic_ids[origin[0]]))
        for role, some in rows.items():
            self._parts[role].append(np.array(some, dtype=np.int64))

    def foreign(self) -> Ints:
        """Identities of records that do not say what they stand for."""
        places = np.array(self._foreign, dtype=np.int64).reshape(-1, 2)
        return np.sort(identity(places[:, 0], places[:, 1]))

    def compared(self, role: str) -> "Comparison":
        """The letters of one input topic, as yet compared with nothing."""
        parts = self._parts[role]
        rows = np.concatenate(parts) if parts else np.empty((0, len(_Row._fields)), dtype=np.int64)
        return Comparison(dict(zip(_Row._fields, rows.T, strict=True)))


class Comparison:
    """Letters of one input topic, and whether each holds the bytes of its record."""

    def __init__(self, table: _Table) -> None:
        self._table = table
        self.letters = Letters(
            dead_letter_records.ROLE,
            ids=identity(table["partition"], table["offset"]),
            inputs=identity(table["input_partition"], table["input_offset"]),
            lives=table["life"],
            others=np.full(len(table["life"]), -1, dtype=np.int64),
        )

    def add(self, batch: Batch, ids: Ints) -> None:
        """Records of the input topic, with their identities."""
        letters = self.letters
        if not len(letters.ids) or not len(ids):
            return
        by_id = np.argsort(ids)
        at = np.minimum(np.searchsorted(ids[by_id], letters.inputs), len(ids) - 1)
        met = (
            (ids[by_id[at]] == letters.inputs) & (letters.lives != Life.EARLIER) & (self._table["digest"] != _NO_BYTES)
        )
        for letter in np.flatnonzero(met).tolist():
            letters.others[letter] = not self._holds(letter, batch.records[int(by_id[at[letter]])])

    def _holds(self, letter: int, record: Record) -> bool:
        """Whether it has all bytes of its record, or if it is cut, their beginning and their digest."""
        key, value = record.key(), record.value()
        has = (int(self._table["key_length"][letter]), int(self._table["value_length"][letter]))
        digest, print_ = int(self._table["digest"][letter]), int(self._table["print"][letter])
        if digest == _WHOLE:
            return (_length(key), _length(value), hash((key, value))) == (*has, print_)
        if digest != hashed(hashlib.sha256(value or b"").hexdigest()):
            return False
        kept = tuple(
            None if length < 0 else (part or b"")[:length] for part, length in zip((key, value), has, strict=True)
        )
        return hash(kept) == print_


def _row(record: Record, origin: tuple[int, int], topic_id: str) -> _Row:
    headers = dict(read_headers(record))
    key, value = record.key(), record.value()
    digest = _WHOLE
    if "freshet.truncated" in headers:
        digest = hashed(headers.get("freshet.sha256") or b"")
    elif headers.get("freshet.reason") == _EXPIRED:
        digest = _NO_BYTES
    partition, offset = (number if -1 <= number < _FAR else -1 for number in origin)
    return _Row(
        record.partition(),
        record.offset(),
        partition,
        offset,
        _life(headers.get("freshet.topic_id"), topic_id),
        _length(key),
        _length(value),
        hash((key, value)),
        digest,
    )


def _life(said: bytes | None, topic_id: str) -> Life:
    if not said or not topic_id:
        return Life.UNSAID
    return Life.PRESENT if said.decode(errors="replace") == topic_id else Life.EARLIER


def _length(part: bytes | None) -> int:
    return -1 if part is None else len(part)
