"""Who has to wait after a failure, and how long: twice as long after each, up to a minute."""

from typing import Final

_FIRST_MS: Final = 250
_LONGEST_MS: Final = 60_000


class Pauses:
    """Pauses by name. Times are wall-clock milliseconds, given by the caller."""

    def __init__(self) -> None:
        self._until_ms: dict[str, int] = {}
        self._lengths_ms: dict[str, int] = {}

    def begin(self, name: str, now_ms: int) -> int:
        """Note a failure; returns the length of the pause in milliseconds."""
        length_ms = min(2 * self._lengths_ms[name], _LONGEST_MS) if name in self._lengths_ms else _FIRST_MS
        self._lengths_ms[name] = length_ms
        self._until_ms[name] = now_ms + length_ms
        return length_ms

    def lasts(self, name: str, now_ms: int) -> bool:
        """Whether it still has to wait. Setting the clock back ends a pause, so that none gets longer by it."""
        left_ms = self._until_ms.get(name, 0) - now_ms
        return 0 < left_ms <= _LONGEST_MS

    def end(self, name: str) -> None:
        """Note a success: the next pause is a short one again."""
        self._until_ms.pop(name, None)
        self._lengths_ms.pop(name, None)
