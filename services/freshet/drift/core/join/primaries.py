"""Which prediction of an id is the one that labels belong to."""

import numpy as np

from freshet.contracts.arrays import Bools, Ints
from freshet.drift.core.join.hash_table import HashTable
from freshet.drift.core.join.join_rows import DUPLICATE, Plans, Table
from freshet.drift.core.join.ring import Ring
from freshet.drift.core.join.waiting_labels import Undo

_AT_ONCE = 1 << 16


class Primaries:
    """The predictions of a ring by id. An id is the same where the 64 bits of `hash` and the 32 of `check` agree."""

    def __init__(self, rows: Ring) -> None:
        self._rows = rows
        self._table = self._new_table()
        self._again: dict[int, list[int]] = {}
        """Hashes with more than one primary in memory, and all of these; rare."""

    def _new_table(self) -> HashTable:
        return HashTable(lambda numbers: self._rows.column("hash", numbers))

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self._table.nbytes

    def flag(self, rows: Table, plans: Plans, undo: Undo, *, flagged: bool) -> Bools:
        """Flag duplicates among rows that are about to be appended; `flagged`: that was done, and is only noted.

        Returns which rows are primaries of an id that is nowhere else, to be inserted.
        """
        found = self._table.find(rows["hash"])
        hit = np.flatnonzero(found >= 0)
        same = self._rows.column("check", found[hit]) == rows["check"][hit]
        near = rows["time_ms"][hit] - self._rows.column("time_ms", found[hit]) <= plans.reach[rows["plan"][hit]]
        if not flagged:
            rows["flags"][hit[same & near]] |= DUPLICATE
        odd = self._odd(rows["hash"], hit[~(same & near)])
        for at in odd.tolist():
            self._one(rows, at, int(found[at]), plans, undo, flagged=flagged)
        plain: Bools = rows["flags"] & DUPLICATE == 0
        plain[odd] = False
        return plain

    def insert(self, hashes: Table, numbers: Ints, undo: Undo) -> None:
        """Rows that were appended, and are primaries of an id that is nowhere else."""
        table, before = self._table, self._table.next
        table.advance(table.floor, self._rows.next)
        table.insert(hashes, numbers)

        def back() -> None:
            table.remove(hashes, numbers)
            table.next = before

        undo.append(back)

    def of(self, labels: Table, plans: Plans) -> Ints:
        """The number of each label's prediction, -1 where there is none."""
        found = self._table.find(labels["hash"])
        hit = np.flatnonzero(found >= 0)
        fits = plans.fits(labels.take(hit), self._rows.column("time_ms", found[hit]))
        fits &= self._rows.column("check", found[hit]) == labels["check"][hit]
        found[hit[~fits]] = -1
        if self._again:
            keys = labels["hash"].tolist()
            for at in [at for at, key in enumerate(keys) if key in self._again]:
                found[at] = self._first_fit(labels[at : at + 1], self._again[keys[at]], plans)
        return found

    def forget(self, floor: int) -> None:
        """Rows below are gone."""
        self._table.advance(floor, self._rows.next)
        for key, numbers in list(self._again.items()):
            left = [number for number in numbers if number >= floor]
            if left:
                self._again[key] = left
            else:
                del self._again[key]

    def renumber(self, shift: int) -> None:
        """Rows have numbers that are smaller by so much, all of which must be found anew."""
        self._again = {key: [number - shift for number in numbers] for key, numbers in self._again.items()}
        inserted = {numbers[0] for numbers in self._again.values()}
        self._table = self._new_table()
        self._table.floor = self._rows.floor
        for first in range(self._rows.floor, self._rows.next, _AT_ONCE):
            numbers = np.arange(first, min(first + _AT_ONCE, self._rows.next))
            rows = self._rows.take(numbers)
            keep = rows["flags"] & DUPLICATE == 0
            if self._again:
                keys = zip(rows["hash"].tolist(), numbers.tolist(), strict=True)
                keep &= np.array([key not in self._again or number in inserted for key, number in keys])
            self._table.advance(self._rows.floor, int(numbers[-1]) + 1)
            self._table.insert(rows["hash"][keep], numbers[keep])

    def _odd(self, hashes: Table, found: Ints) -> Ints:
        """Rows to look at one by one: ids that are twice in the batch, or come again after their reach."""
        odd = np.zeros(hashes.size, np.bool_)
        odd[found] = True
        ordered = np.sort(hashes)
        if (ordered[1:] == ordered[:-1]).any():
            odd |= np.isin(hashes, ordered[1:][ordered[1:] == ordered[:-1]])
        if self._again:
            odd |= np.fromiter((key in self._again for key in hashes.tolist()), np.bool_, hashes.size)
        return np.flatnonzero(odd)

    def _one(self, rows: Table, at: int, found: int, plans: Plans, undo: Undo, *, flagged: bool) -> None:
        key, base, row = int(rows["hash"][at]), self._rows.next, rows[at]
        numbers = self._again.get(key) or ([found] if found >= 0 else [])
        if not flagged:
            times_ms = [self._time_ms(number, rows, base, int(row["check"])) for number in numbers]
            last_ms = max((time_ms for time_ms in times_ms if time_ms is not None), default=None)
            if last_ms is not None and int(row["time_ms"]) - last_ms <= int(plans.reach[row["plan"]]):
                rows["flags"][at] |= DUPLICATE
            else:
                rows["flags"][at] &= ~np.uint8(DUPLICATE)
        if int(rows["flags"][at]) & DUPLICATE:
            return
        before = self._again.get(key)
        undo.append(lambda: self._put(key, before))
        self._again[key] = [*numbers, base + at]

    def _time_ms(self, number: int, rows: Table, base: int, check: int) -> int | None:
        """When the primary of that number was asked; None if its id is another one."""
        row = rows[number - base] if number >= base else self._rows.take(np.array([number]))[0]
        return int(row["time_ms"]) if int(row["check"]) == check else None

    def _put(self, key: int, numbers: list[int] | None) -> None:
        if numbers is None:
            del self._again[key]
        else:
            self._again[key] = numbers

    def _first_fit(self, label: Table, numbers: list[int], plans: Plans) -> int:
        primaries = np.array(numbers)
        rows = self._rows.take(primaries)
        fits = plans.fits(np.repeat(label, rows.size), rows["time_ms"]) & (rows["check"] == label["check"][0])
        fitting = primaries[fits & (primaries >= self._rows.floor)]
        return int(fitting[0]) if fitting.size else -1
