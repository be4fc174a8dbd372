"""Time as a value: the loops ask a clock, tests turn one by hand."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for dates, elapsed time for intervals and waits, and a way to sleep."""

    def now_ms(self) -> int:
        """Milliseconds since 1970. It may jump, forwards or backwards, whenever the machine's clock is set."""

    def elapsed_ms(self) -> int:
        """Milliseconds since some moment in the past. It never jumps or goes back."""

    def sleep(self, seconds: float) -> None:
        """Wait; a manual clock only moves on."""


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """See `Clock`."""
        return time.time_ns() // 1_000_000

    def elapsed_ms(self) -> int:
        """See `Clock`."""
        return time.monotonic_ns() // 1_000_000

    def sleep(self, seconds: float) -> None:
        """See `Clock`."""
        time.sleep(seconds)


class ManualClock:
    """A clock that moves only when told to, or when somebody sleeps on it."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = float(now_ms)
        self._elapsed_ms = 1_000_000.0

    def now_ms(self) -> int:
        """See `Clock`."""
        return int(self._now_ms)

    def elapsed_ms(self) -> int:
        """See `Clock`."""
        return int(self._elapsed_ms)

    def sleep(self, seconds: float) -> None:
        """See `Clock`."""
        self.advance(seconds * 1000)

    def advance(self, milliseconds: float) -> None:
        """Let that much time pass; less than nothing sets the wall clock back."""
        self._now_ms += milliseconds
        self._elapsed_ms += max(milliseconds, 0)

    def set_wall(self, now_ms: int) -> None:
        """Set the wall clock; no time passes."""
        self._now_ms = float(now_ms)
