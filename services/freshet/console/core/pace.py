"""When the next snapshot is made: at a steady pace, and at once where a worker falls silent between two."""

from dataclasses import dataclass
from typing import Final

BUILD_S: Final = 0.8
"""From one snapshot to the next, while nobody falls silent."""
_SHARE: Final = 3.0
"""A snapshot that took long is followed by a pause of so many times as long, so that pages are never more than a
quarter of the reading thread's work."""


@dataclass(slots=True)
class Pace:
    """Takes two clocks: `now_s` of this process, which never jumps, and `now_ms` of the broker, which stamps beats."""

    _due_s: float = 0.0
    _silence_ms: int | None = None

    def is_due(self, now_s: float, now_ms: int) -> bool:
        """Whether it is time for a snapshot. A worker that falls silent is told once without waiting."""
        return now_s >= self._due_s or (self._silence_ms is not None and now_ms >= self._silence_ms)

    def wait_s(self, now_ms: int, longest_s: float) -> float:
        """How long the thread may wait for records, so that it is back when the next worker falls silent."""
        if self._silence_ms is None:
            return longest_s
        return min(longest_s, max(0.0, (self._silence_ms - now_ms) / 1000))

    def made(self, began_s: float, ended_s: float, silence_ms: int | None) -> None:
        """A snapshot was made in that time. `silence_ms` is when the next worker falls silent; None if none is left."""
        self._due_s = max(began_s + BUILD_S, ended_s + _SHARE * (ended_s - began_s))
        self._silence_ms = silence_ms
