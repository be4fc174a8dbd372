"""What goes around each score call: the note for a successor, and the watchdog."""

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from freshet.inference.core.crash_blame import Flight
from freshet.inference.core.model_jobs import Scorer
from freshet.inference.inflight import InFlightNote
from freshet.inference.running import PROCESS
from freshet.runtime.watchdog import Watchdog

_PATIENCE: Final = 20  # times the limit that admission saw kept: a busy machine is no reason
_LEAST_S: Final = 5.0
_MOST_S: Final = 19.0  # thrice that, a call and another try that hangs, is less than max.poll.interval.ms, 60 s

_ONE_AT_A_TIME: Final = threading.Lock()
"""Each pipeline of a process has a thread, and a model that crashes takes all of them with it: whoever is noted as
scoring then must be the one that did it."""


class ScoreGuard:
    """Guards score calls; see `core.crash_blame.Guard`.

    A call that overruns its limit is interrupted, which its caller sees as ModelError. If it has not returned after as
    long again, the process ends, and the note says that it hung.
    """

    def __init__(self, note: InFlightNote, watchdog: Watchdog) -> None:
        self._note, self._watchdog = note, watchdog
        weakref.finalize(self, watchdog.stop)  # a pipeline that failed is built anew in the same process

    @contextmanager
    def __call__(self, flight: Flight, scorer: Scorer, batch_p99_ms: int) -> Iterator[None]:
        """Around `scorer.score` of what is in flight."""

        def late() -> None:
            self._note.hung()
            scorer.interrupt()  # again at each look: it only reaches a run that has begun

        with _ONE_AT_A_TIME, PROCESS.score_turn():
            self._note.begin(flight)
            try:
                with self._watchdog.limit(2 * limit_s(batch_p99_ms), f"scoring with {flight.version}", late=late):
                    yield
            finally:
                self._note.end()


def limit_s(batch_p99_ms: int) -> float:
    """How long a score call may take where the pipeline allows a full batch that many milliseconds."""
    return min(max(_PATIENCE * batch_p99_ms / 1000, _LEAST_S), _MOST_S)
