"""Ends the process when a call that is bounded on paper does not come back.

librdkafka 2.16 can wait without end inside `send_offsets_to_transaction` when a broker dies, whatever timeout it was
given (its issues 5456 and 5511, both open), and a model's graph may loop. A process that hangs keeps its partitions and
answers nothing; one that ends is restarted, and its successor settles what it left open.
"""

import faulthandler
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import structlog

EXIT_STUCK: Final = 72
_LOOK_S: Final = 0.5


@dataclass(slots=True)
class _Watched:
    began_s: float
    limit_s: float
    doing: str
    late: Callable[[], object] | None
    is_late: bool = False


class Watchdog:
    """Watches one thread's calls, one at a time, once it was started. Watching a call costs about 2 µs."""

    def __init__(
        self, *, now_s: Callable[[], float] = time.monotonic, leave: Callable[[int], object] = os._exit
    ) -> None:
        self._now_s, self._leave = now_s, leave
        self._watched: _Watched | None = None
        self._log = structlog.get_logger("watchdog")

    def start(self) -> "Watchdog":
        """Look every half second from now on, in a thread of its own; returns itself."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
        return self

    @contextmanager
    def limit(self, seconds: float, doing: str, *, late: Callable[[], object] | None = None) -> Iterator[None]:
        """End the process, with every thread's stack on stderr, if the block is not left within that time.

        From half of it on, each look calls `late`, in the watching thread: it may bring the block to an end.
        """
        self._watched = _Watched(self._now_s(), seconds, doing, late)
        try:
            yield
        finally:
            self._watched = None

    def check(self) -> None:
        """Look at the block under way, if any."""
        watched = self._watched
        if watched is None:
            return
        took_s = self._now_s() - watched.began_s
        if took_s > watched.limit_s:
            self._log.error("stuck", doing=watched.doing, seconds=round(took_s, 1))
            faulthandler.dump_traceback()
            self._leave(EXIT_STUCK)
        elif watched.late is not None and took_s > watched.limit_s / 2:
            if not watched.is_late:
                self._log.error("late", doing=watched.doing, seconds=round(took_s, 1))
            watched.is_late = True
            watched.late()

    def _watch(self) -> None:
        while True:
            time.sleep(_LOOK_S)
            self.check()
