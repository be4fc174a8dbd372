"""Time as a value: the loops ask a clock, tests turn one by hand."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for control decisions, and sleeping."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Wait; a manual clock only moves on."""


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """See `Clock`."""
        return time.time_ns() // 1_000_000

    def sleep(self, seconds: float) -> None:
        """See `Clock`."""
        time.sleep(seconds)


class ManualClock:
    """A clock that moves only when told to, or when somebody sleeps on it."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = float(now_ms)

    def now_ms(self) -> int:
        """See `Clock`."""
        return int(self._now_ms)

    def sleep(self, seconds: float) -> None:
        """See `Clock`."""
        self._now_ms += seconds * 1000

    def advance(self, milliseconds: int) -> None:
        """Let that much time pass."""
        self._now_ms += milliseconds
