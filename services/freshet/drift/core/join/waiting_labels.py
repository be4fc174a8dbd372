"""Labels that wait for a prediction that is not there yet."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.drift.core.join.join_rows import LABEL, Plans, Table
from freshet.drift.core.join.ring import Ring

_SCAN: Final = 4096
_ENTRY_BYTES: Final = 200
"""What Python takes for an id and its labels."""
WAITING_BYTES: Final = LABEL.itemsize + _ENTRY_BYTES
"""What a label that waits takes."""
_GONE: Final = np.dtype([("gone", "?")])

Undo = list[Callable[[], object]]
"""What takes the changes of a batch back, in reverse."""


class Waiting:
    """Labels in the order of their log, found by the hash of their id; several may share one."""

    def __init__(self) -> None:
        self._rows, self._gone = Ring(LABEL), Ring(_GONE)
        self._by_hash: dict[int, tuple[int, ...]] = {}
        self._unknown = 0
        """Those before it belong to no prediction, or have met theirs."""
        self.live = 0

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self._rows.nbytes + len(self._by_hash) * _ENTRY_BYTES

    def rows(self) -> Table:
        """Those that wait now, in order."""
        numbers = np.arange(self._unknown, self._rows.next)
        return self._rows.take(numbers[~self._gone.column("gone", numbers)])

    def has_due(self, predicted_ms: int, plans: Plans) -> bool:
        """Whether `count_unknown` would find one at this time."""
        if not self.live:
            return False
        first = self._rows.take(np.array([self._unknown]))
        return bool((first["time_ms"] + plans.wait[first["plan"]])[0] < predicted_ms)

    def add(self, labels: Table, undo: Undo) -> None:
        """Let these wait."""
        first = self._rows.next
        numbers = self._rows.append(labels)
        self._gone.append(np.zeros(labels.size, _GONE))
        new: dict[int, list[int]] = {}
        for key, number in zip(labels["hash"].tolist(), numbers.tolist(), strict=True):
            new.setdefault(key, []).append(number)
        before = {key: self._by_hash.get(key, ()) for key in new}
        self._by_hash |= {key: (*before[key], *found) for key, found in new.items()}
        self.live += labels.size

        def back() -> None:
            self._put_back(before)
            self._rows.next = self._gone.next = first
            self.live -= labels.size

        undo.append(back)

    def meet(self, predictions: Table, numbers: Ints, plans: Plans, undo: Undo) -> tuple[Ints, Table]:
        """Predictions that are new, with their numbers: pairs of a number and a label, which waits no longer.

        A label goes to the first prediction that it fits.
        """
        if not self._by_hash:
            return numbers[:0], np.zeros(0, LABEL)
        keys: list[int] = predictions["hash"].tolist()
        hits = [at for at, key in enumerate(keys) if key in self._by_hash]
        chains = [self._by_hash[keys[at]] for at in hits]
        owner = np.repeat(np.array(hits, np.int64), [len(chain) for chain in chains])
        waits = np.array([number for chain in chains for number in chain], np.int64)
        labels = self._rows.take(waits)
        fits = plans.fits(labels, predictions["time_ms"][owner]) & (labels["check"] == predictions["check"][owner])
        fitting = np.flatnonzero(fits & (waits >= self._unknown))
        _, firsts = np.unique(waits[fitting], return_index=True)
        taken = fitting[firsts]
        self._take(waits[taken], sorted({keys[at] for at in owner[taken].tolist()}), undo)
        order = np.lexsort((waits[taken], owner[taken]))
        return numbers[owner[taken][order]], labels.take(taken[order])

    def count_unknown(self, predicted_ms: int, plans: Plans, undo: Undo) -> int:
        """No prediction from before this time will come any more: so many labels belong to none."""
        first, live, count = self._unknown, self.live, 0
        while self._unknown < self._rows.next:
            numbers = np.arange(self._unknown, min(self._unknown + _SCAN, self._rows.next))
            labels, gone = self._rows.take(numbers), self._gone.column("gone", numbers)
            over = gone | (labels["time_ms"] + plans.wait[labels["plan"]] < predicted_ms)
            end = numbers.size if over.all() else int(np.argmin(over))
            count += int(np.count_nonzero(~gone[:end]))
            self._unknown += end
            if end < numbers.size:
                break
        self.live -= count

        def back() -> None:
            self._unknown, self.live = first, live

        undo.append(back)
        return count

    def drop(self) -> None:
        """Forget those that are over. Nothing can be taken back afterwards."""
        numbers = np.arange(self._rows.floor, self._unknown)
        numbers = numbers[~self._gone.column("gone", numbers)]
        keys = set(self._rows.column("hash", numbers).tolist())
        chains = {key: self._by_hash[key] for key in keys}  # ascending, each
        self._put_back({key: chain[bisect_left(chain, self._unknown) :] for key, chain in chains.items()})
        self._rows.floor = self._gone.floor = self._unknown

    def _take(self, numbers: Ints, keys: Sequence[int], undo: Undo) -> None:
        if not numbers.size:
            return
        before = {key: self._by_hash[key] for key in keys}
        taken = set(numbers.tolist())
        self._put_back({key: tuple(n for n in chain if n not in taken) for key, chain in before.items()})
        self._gone.put_column("gone", numbers, True)
        self.live -= numbers.size

        def back() -> None:
            self._put_back(before)
            self._gone.put_column("gone", numbers, False)
            self.live += numbers.size

        undo.append(back)

    def _put_back(self, chains: dict[int, tuple[int, ...]]) -> None:
        for key, chain in chains.items():
            if chain:
                self._by_hash[key] = chain
            else:
                self._by_hash.pop(key, None)
