"""Ends the process when a call that is bounded on paper does not come back.

librdkafka 2.16 can wait without end inside `send_offsets_to_transaction` when a broker dies, whatever timeout it was
given (its issues 5456 and 5511, both open), and a model's graph may loop. A process that hangs keeps its partitions and
answers nothing; one that ends is restarted, and its successor settles what it left open.

One thread looks at all that is watched in the process. It cannot run while a call in C holds the interpreter's lock;
`guard_process` adds a second line that can, in C itself.
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
SECOND_LINE_S: Final = 60.0
"""More than twice any limit that is set here. After max.poll.interval.ms the partitions are other workers' anyway."""

_LOOK_S: Final = 0.5
_PAUSE_S: Final = 4 * _LOOK_S  # no look comes that late unless the whole process stood still


@dataclass(slots=True)
class _Watched:
    began_s: float
    limit_s: float
    doing: str
    late: Callable[[], object] | None
    is_late: bool = False


class Watchdog:
    """Watches one thread's calls, one at a time, from `start` to `stop`. Watching a call costs about 2 µs."""

    def __init__(
        self, *, now_s: Callable[[], float] = time.monotonic, leave: Callable[[int], object] = os._exit
    ) -> None:
        self._now_s, self._leave = now_s, leave
        self._watched: _Watched | None = None
        self._log = structlog.get_logger("watchdog")

    def start(self) -> "Watchdog":
        """Have the process's patrol look every half second from now on; returns itself."""
        _patrol.add(self)
        return self

    def stop(self) -> None:
        """No more looks; the patrol ends with the last one."""
        _patrol.remove(self)

    @contextmanager
    def limit(self, seconds: float, doing: str, *, late: Callable[[], object] | None = None) -> Iterator[None]:
        """End the process, with every thread's stack on stderr, if the block is not left within that time.

        After half of that time each look calls `late`, in the watching thread, which may bring the block to an end.
        """
        self._watched = _Watched(self._now_s(), seconds, doing, late)
        try:
            yield
        finally:
            self._watched = None

    def check(self, excused_s: float = 0.0) -> None:
        """Look at the block under way, if any. Time in which the whole process stood still does not count."""
        watched = self._watched
        if watched is None:
            return
        watched.began_s += excused_s
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


class Patrol:
    """The one thread of a process that looks at its watchdogs; it lives while there are any."""

    def __init__(self) -> None:
        self._watchdogs: list[Watchdog] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._looked_s = 0.0

    def add(self, watchdog: Watchdog) -> None:
        """Look at this one too."""
        with self._lock:
            self._watchdogs.append(watchdog)
            if self._thread is None:
                self._looked_s = time.monotonic()
                self._thread = threading.Thread(target=self._walk, name="watchdog", daemon=True)
                self._thread.start()

    def remove(self, watchdog: Watchdog) -> None:
        """Look at this one no more; it may have been removed before."""
        with self._lock:
            if watchdog in self._watchdogs:
                self._watchdogs.remove(watchdog)

    def look(self, now_s: float) -> bool:
        """One look at all of them; False when there is none left.

        A look that comes seconds late says that the whole process stood still (SIGSTOP, a frozen machine, a call that
        held the interpreter's lock): it would measure that standstill, and not a block that hangs.
        """
        gap_s, self._looked_s = now_s - self._looked_s, now_s
        with self._lock:
            watchdogs = list(self._watchdogs)
            if not watchdogs:
                self._thread = None
                return False
        for watchdog in watchdogs:
            watchdog.check(gap_s if gap_s > _PAUSE_S else 0.0)
        return True

    def _walk(self) -> None:
        going = True
        while going:
            time.sleep(_LOOK_S)
            going = self.look(time.monotonic())


class _SecondLine(Watchdog):
    """At each look it postpones the moment at which C code ends the process, so that comes only once looks stop."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def check(self, excused_s: float = 0.0) -> None:  # noqa: ARG002
        """See `Watchdog`."""
        faulthandler.dump_traceback_later(self._seconds, exit=True)


_patrol: Final = Patrol()


def guard_process(seconds: float = SECOND_LINE_S) -> None:
    """End this process, with every thread's stack on stderr, once no Python code could run in it for that long.

    For a process of its own, as long as it lives: there is one such timer in a process. Its exit code is 1, which is
    not ours to choose. A process that is stopped from outside for so long ends when it is woken.
    """
    _SecondLine(seconds).start().check()
