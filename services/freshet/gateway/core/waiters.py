"""Who waits for which event's answer. Holds what is waited for, and a bounded number of early dead letters."""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Position = tuple[int, int]
"""Partition and offset on the events topic."""

_EARLY_LETTERS: Final = 1_000
_EARLY_PREDICTIONS: Final = 4


@dataclass(slots=True, eq=False)
class Waiter:
    """Waits for one event. It waits before the event is sent, so its position is known only later."""

    event_id: str
    told: Callable[[], object]
    """Called once, when there is an answer."""
    position: Position | None = None
    answer: Mapping[str, Any] | None = None
    """`{"prediction": …}` or `{"dead_letter": …}`."""
    early: dict[Position, Mapping[str, Any]] = field(default_factory=dict)
    """Answers to events of that id that came before the position was known."""


class Waiters:
    """All that wait for answers of one pipeline.

    Two events may have one id, so the event's position decides which answer is whose. A dead letter names its event by
    position only; those that come before a position is known are kept for a while.
    """

    def __init__(self) -> None:
        self._by_id: defaultdict[str, list[Waiter]] = defaultdict(list)
        self._by_position: dict[Position, Waiter] = {}
        self._letters: OrderedDict[Position, Mapping[str, Any]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._by_id.values()))

    def expect(self, event_id: str, told: Callable[[], object]) -> Waiter:
        """Wait for an event that is about to be sent, until `forget`."""
        waiter = Waiter(event_id, told)
        self._by_id[event_id].append(waiter)
        return waiter

    def place(self, waiter: Waiter, position: Position) -> None:
        """The event has been acknowledged, at this position."""
        waiter.position = position
        self._by_position[position] = waiter
        found = waiter.early.get(position) or self._letters.pop(position, None)
        waiter.early.clear()
        if found is not None:
            _answer(waiter, found)

    def forget(self, waiter: Waiter) -> None:
        """It waits no longer."""
        waiters = self._by_id[waiter.event_id]
        waiters.remove(waiter)
        if not waiters:
            del self._by_id[waiter.event_id]
        if waiter.position is not None and self._by_position.get(waiter.position) is waiter:
            del self._by_position[waiter.position]

    def predicted(
        self, ids: Sequence[str], positions: Callable[[int], Position], make: Callable[[int], Mapping[str, Any]]
    ) -> None:
        """A batch of predictions; a row is looked at closely only if somebody waits for its event's id."""
        if not self._by_id:
            return
        for row, event_id in enumerate(ids):
            for waiter in self._by_id.get(event_id, ()):
                position = positions(row)
                if waiter.position == position:
                    _answer(waiter, make(row))
                elif waiter.position is None and len(waiter.early) < _EARLY_PREDICTIONS:
                    waiter.early[position] = make(row)

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
