"""The watchdog: ends a score call that takes far too long; first the run, and if that does not help the process."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from freshet.inference.core.deaths import Flight
from freshet.inference.core.jobs import Scorer
from freshet.inference.inflight import InFlightNote

EXIT_HUNG: Final = 72
_PATIENCE: Final = 20  # times the limit that admission saw kept: a busy machine is no reason
_LEAST_S: Final = 5.0
_MOST_S: Final = 25.0  # two of them must end before max.poll.interval.ms, when the group takes our partitions away
_TICK_S: Final = 0.25


@dataclass(slots=True)
class _Call:
    flight: Flight
    scorer: Scorer
    limit_s: float
    began_s: float
    interrupted: bool = False


class Watchdog:
    """Guards the score calls of one logic (`guard`), and looks at the one under way from a thread of its own.

    A call that overruns its limit is interrupted, which its caller sees as ModelError. After as long again it is noted
    as hung and the process exits with 72, for its supervisor to start it anew.
    """

    def __init__(
        self,
        note: InFlightNote,
        *,
        now_s: Callable[[], float] = time.monotonic,
        leave: Callable[[int], object] = os._exit,
    ) -> None:
        self._note, self._now_s, self._leave = note, now_s, leave
        self._call: _Call | None = None
        self._log = structlog.get_logger("watchdog")

    @contextmanager
    def guard(self, flight: Flight, scorer: Scorer, batch_p99_ms: int) -> Iterator[None]:
        """See `core.calls.Guard`."""
        self._call = _Call(flight, scorer, limit_s(batch_p99_ms), self._now_s())
        self._note.begin(flight)
        try:
            yield
        finally:
            self._note.end()
            self._call = None

    def start(self) -> None:
        """Watch from now on, until the process ends."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def check(self) -> None:
        """Look at the call under way, if any."""
        call = self._call
        if call is None:
            return
        took_s = self._now_s() - call.began_s
        if took_s > 2 * call.limit_s:
            self._note.hung()
            self._log.error("score_call_hung", version=call.flight.version, seconds=round(took_s, 1))
            self._leave(EXIT_HUNG)
        elif took_s > call.limit_s:
            if not call.interrupted:
                self._log.error("score_call_interrupted", version=call.flight.version, seconds=round(took_s, 1))
            call.interrupted = True
            call.scorer.interrupt()  # again each time: it only reaches a run that has begun

    def _watch(self) -> None:
        while True:
            time.sleep(_TICK_S)
            self.check()


def limit_s(batch_p99_ms: int) -> float:
    """How long a score call may take where the pipeline allows a full batch that many milliseconds."""
    return min(max(_PATIENCE * batch_p99_ms / 1000, _LEAST_S), _MOST_S)
