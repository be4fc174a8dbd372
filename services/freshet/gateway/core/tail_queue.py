"""Rows for one reader of a tail. A slow one loses the oldest, and is told how many."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from freshet.gateway.core.limits import TAIL_ROWS


class TailQueue:
    """Bounded; the order is that of the topic within each partition."""

    def __init__(self, most: int = TAIL_ROWS) -> None:
        self._rows: deque[Mapping[str, Any]] = deque(maxlen=most)
        self._dropped = 0

    def put(self, rows: Sequence[Mapping[str, Any]], left_out: int = 0) -> int:
        """Add rows; `left_out` older ones were not even made. Returns how many the reader loses by this."""
        lost = max(0, len(self._rows) + len(rows) - (self._rows.maxlen or 0))
        if left_out:
            lost = left_out + len(self._rows) + max(0, len(rows) - (self._rows.maxlen or 0))
            self._rows.clear()
        self._rows.extend(rows)
        self._dropped += lost
        return lost

    def take(self) -> list[Mapping[str, Any]]:
        """All that waits; first, where some were lost, `{"dropped": n}`."""
        told = [{"dropped": self._dropped}] if self._dropped else []
        rows = [*told, *self._rows]
        self._rows.clear()
        self._dropped = 0
        return rows
