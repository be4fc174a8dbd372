"""Which numbers of epochs may have been given, whatever became of their records, within bounds."""

from bisect import bisect_left, bisect_right
from typing import Final

MAX_RANGES: Final = 10_000
"""Numbers are given one after the other, so those of a registry are one range: whoever needs more is a stranger."""


class TakenNumbers:
    """Numbers that are not free, as ranges.

    Whoever may write the topic may name any numbers, so that there could be any number of ranges: of the gaps between
    them the largest are kept, and the others count as taken too. To skip a number harms nobody.
    """

    def __init__(self) -> None:
        self._first: list[int] = []
        self._last: list[int] = []

    def add(self, number: int) -> None:
        """This number is not free."""
        at = bisect_right(self._first, number)
        if at and number <= self._last[at - 1]:
            return
        first = last = number
        begin = end = at
        if at and self._last[at - 1] == number - 1:
            begin, first = at - 1, self._first[at - 1]
        if at < len(self._first) and self._first[at] == number + 1:
            end, last = at + 1, self._last[at]
        self._first[begin:end], self._last[begin:end] = [first], [last]
        if len(self._first) > 2 * MAX_RANGES:
            self._merge()

    def _merge(self) -> None:
        """Half of it at once, so that a flood costs little for each number."""
        gaps = sorted(range(1, len(self._first)), key=lambda at: self._last[at - 1] - self._first[at])
        kept = sorted(gaps[: MAX_RANGES - 1])
        self._last = [*(self._last[at - 1] for at in kept), self._last[-1]]
        self._first = [self._first[0], *(self._first[at] for at in kept)]

    def free_from(self, number: int) -> int:
        """The lowest free number that is not below this one."""
        at = bisect_left(self._last, number)
        return self._last[at] + 1 if at < len(self._last) and self._first[at] <= number else number

    def __len__(self) -> int:
        """How many ranges there are."""
        return len(self._first)
