"""The calls into models that run in this process now: those of all its pipelines, scores and loads.

A crash ends all of them, and afterwards nobody can tell which one did it. So each call's note says whether it runs
beside another; and once a process has died of two at once, its successor runs them one at a time, until one dies alone.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Final, Protocol

_PATIENCE_S: Final = 15.0
"""So long a score call waits for a load. Its loop does not poll meanwhile: max.poll.interval.ms is 60 s."""


class Noted(Protocol):
    """A call that has begun, as its note holds it."""

    def mark(self, *, shared: bool) -> None: ...
    def clear(self) -> None: ...


class Running:
    """Keeps count of the calls that run, and makes them take turns where that is asked for."""

    def __init__(self) -> None:
        self._lock, self._turn = threading.Lock(), threading.Lock()
        self._calls: list[Noted] = []
        self.careful = False
        """Whether a predecessor died of two calls at once, so that they take turns now."""

    def begin(self, call: Noted) -> None:
        """The call begins, and from now on no other runs alone."""
        with self._lock:
            for other in self._calls:
                other.mark(shared=True)
            self._calls.append(call)
            call.mark(shared=len(self._calls) > 1)

    def end(self, call: Noted) -> None:
        """The call is over, if it ever began: of two the other one runs alone from now on."""
        with self._lock:
            call.clear()
            if call in self._calls:
                self._calls.remove(call)
            if len(self._calls) == 1:
                self._calls[0].mark(shared=False)

    @contextmanager
    def load_turn(self) -> Iterator[None]:
        """Around a load: while calls take turns, no score call runs beside it."""
        with self._turn if self.careful else nullcontext():
            yield

    @contextmanager
    def score_turn(self) -> Iterator[None]:
        """Around a score call: while calls take turns, no load runs beside it, unless that takes too long."""
        taken = self.careful and self._turn.acquire(timeout=_PATIENCE_S)
        self.careful = self.careful and taken
        try:
            yield
        finally:
            if taken:
                self._turn.release()


PROCESS: Final = Running()
"""Those of this process."""
