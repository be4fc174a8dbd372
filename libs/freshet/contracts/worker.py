"""How a worker tells of itself on `freshet.workers`: who it is, and when it speaks. The same for every service."""

from collections.abc import Iterator
from dataclasses import dataclass

from freshet.contracts.logic import Announce
from freshet.contracts.messages import WorkerState

INTERVAL_MS = 3_000
"""Time between two beats of a worker that has nothing new to say."""


@dataclass(frozen=True, slots=True)
class Process:
    """One run of a process, told from every other run by these three together."""

    host: str = ""
    pid: int = 0
    started_ms: int = 0
    """Wall time of its start: only there to tell two runs apart, so a wrong clock does no harm."""


UNKNOWN_PROCESS = Process()
"""A run that does not say who it is."""


class Beats:
    """Announces a worker's state: at once when it has changed, else once an interval. Memory alone is no news."""

    def __init__(self, interval_ms: int = INTERVAL_MS) -> None:
        self._interval_ms = interval_ms
        self._last: WorkerState | None = None
        self._last_ms = 0

    def beat(self, state: WorkerState, now_ms: int) -> Iterator[Announce]:
        """The announcement that is due now, if any."""
        changed = self._last is None or _content(state) != _content(self._last)
        if changed or now_ms - self._last_ms >= self._interval_ms:
            self._last, self._last_ms = state, now_ms
            yield announced(state)


def announced(state: WorkerState) -> Announce:
    """The state as it goes out, under its worker's name."""
    return Announce("workers", state.instance, state)


def _content(state: WorkerState) -> WorkerState:
    return state.model_copy(update={"memory_bytes": 0})
