"""Who waits for which event's answer. Holds what is waited for, and a bounded number of early dead letters."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Position = tuple[int, int]
"""Partition and offset on the events topic."""

_EARLY_LETTERS: Final = 1_000
_EARLY_PREDICTIONS: Final = 4
"""For each event of the same id whose position is not known yet."""


@dataclass(slots=True, eq=False)
class Waiter:
    """Waits for one event. It waits before the event is sent, so its position is known only later."""

    event_id: str
    told: Callable[[], object]
    """Called once, when there is an answer."""
    position: Position | None = None
    answer: Mapping[str, Any] | None = None
    """`{"prediction": …}` or `{"dead_letter": …}`."""


@dataclass(slots=True)
class _OfId:
    """What is known of all that wait for events of one id."""

    waiting: int = 0
    unplaced: int = 0
    """How many of them have no position yet."""
    early: dict[Position, Mapping[str, Any]] = field(default_factory=dict)
    """Answers to events of that id that came while some had no position."""

    def settle(self) -> None:
        """One of them has a position now, or waits no longer."""
        self.unplaced -= 1
        if not self.unplaced:
            self.early.clear()


class Waiters:
    """All that wait for answers of one pipeline.

    Two events may have one id, so the event's position decides which answer is whose. A dead letter names its event by
    position only; those that come before a position is known are kept for a while.
    """

    def __init__(self) -> None:
        self._by_id: dict[str, _OfId] = {}
        self._by_position: dict[Position, Waiter] = {}
        self._letters: OrderedDict[Position, Mapping[str, Any]] = OrderedDict()

    def __len__(self) -> int:
        return sum(of_id.waiting for of_id in self._by_id.values())

    def expect(self, event_id: str, told: Callable[[], object]) -> Waiter:
        """Wait for an event that is about to be sent, until `forget`."""
        waiter = Waiter(event_id, told)
        of_id = self._by_id.setdefault(event_id, _OfId())
        of_id.waiting += 1
        of_id.unplaced += 1
        return waiter

    def place(self, waiter: Waiter, position: Position) -> None:
        """The event has been acknowledged, at this position."""
        waiter.position = position
        self._by_position[position] = waiter
        of_id = self._by_id[waiter.event_id]
        found = of_id.early.pop(position, None) or self._letters.pop(position, None)
        of_id.settle()
        if found is not None:
            _answer(waiter, found)

    def forget(self, waiter: Waiter) -> None:
        """It waits no longer."""
        of_id = self._by_id[waiter.event_id]
        of_id.waiting -= 1
        if waiter.position is None:
            of_id.settle()
        elif self._by_position.get(waiter.position) is waiter:
            del self._by_position[waiter.position]
        if not of_id.waiting:
            del self._by_id[waiter.event_id]

    def predicted(
        self, ids: Sequence[str], positions: Callable[[int], Position], make: Callable[[int], Mapping[str, Any]]
    ) -> None:
        """A batch of predictions; a row is looked at closely only if somebody waits for its event's id."""
        if not self._by_id:
            return
        for row, event_id in enumerate(ids):
            of_id = self._by_id.get(event_id)
            if of_id is None:
                continue
            position = positions(row)
            waiter = self._by_position.get(position)
            if waiter is not None and waiter.event_id == event_id:
                _answer(waiter, make(row))
            elif len(of_id.early) < _EARLY_PREDICTIONS * of_id.unplaced:
                of_id.early[position] = make(row)

    def set_aside(self, position: Position, letter: Mapping[str, Any]) -> None:
        """An event, or the features made of it, became a dead letter."""
        if position in self._by_position:
            _answer(self._by_position[position], letter)
        elif self._by_id:
            self._letters[position] = letter
            while len(self._letters) > _EARLY_LETTERS:
                self._letters.popitem(last=False)


def _answer(waiter: Waiter, answer: Mapping[str, Any]) -> None:
    if waiter.answer is None:
        waiter.answer = answer
        waiter.told()
