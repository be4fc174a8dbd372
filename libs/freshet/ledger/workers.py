"""The workers of one pipeline: the newest state of each, and which of them are still there."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from freshet.contracts.messages import WorkerState
from freshet.ledger.life_tables import UNKNOWN, WORKER

MISSED_BEATS: Final = 3
"""A worker counts as silent once its newest beat is older than so many of its intervals."""
_MOST: Final = 2**52
"""No registry comes so far. Above it as many numbers are left that every reader can still tell apart."""
ALIVE: Final = frozenset({"joining", "serving"})
"""States of a worker that runs."""


@dataclass(frozen=True, slots=True)
class Beat:
    """A worker's newest state, and when and where the broker received it."""

    timestamp_ms: int
    offset: int
    worker: WorkerState

    def state(self, now_ms: int) -> str:
        """How the worker is at that time, on the clock that the broker stamps records with."""
        said = "goodbye" if self.worker.leaving else "busy beat" if self.worker.partitions else "idle beat"
        state = WORKER.move(UNKNOWN, said).state
        late = now_ms - self.timestamp_ms > MISSED_BEATS * self.worker.interval_ms
        return WORKER.move(state, "missed beats").state if late else state


@dataclass(slots=True)
class BeatClock:
    """The broker's time of the newest beat of any worker: what all beats may be measured against.

    Nobody dies by it while the broker is away, or because the reader's clock is wrong: only a later beat makes another
    one old.
    """

    newest_ms: int = 0


class Workers:
    """Folds workers' states, the newest of each by its offset."""

    def __init__(self, clock: BeatClock) -> None:
        self._clock = clock
        self.beats: dict[str, Beat] = {}
        """By key, that is by instance: workers of all services and lanes, alive or not."""

    def fold(self, key: str, beat: Beat) -> None:
        """Take in a worker's state."""
        self._clock.newest_ms = max(self._clock.newest_ms, beat.timestamp_ms)
        before = self.beats.get(key)
        if before is None or before.offset <= beat.offset:
            self.beats[key] = beat

    def forget(self, key: str) -> None:
        """The topic has dropped this worker."""
        self.beats.pop(key, None)

    def of(self, service: str, lane: str | None = "serve") -> Iterator[tuple[str, Beat]]:
        """Workers of one service, alive or not, by instance; of all lanes if `lane` is None."""
        for key, beat in sorted(self.beats.items()):
            if beat.worker.service == service and lane in (None, beat.worker.lane):
                yield key, beat

    def highest_epoch(self) -> int:
        """The highest epoch that a worker shows in any way; 0 if none does. Absurd numbers do not count."""
        shown = (
            number
            for _, beat in self.of("inference", lane=None)
            for number in (
                beat.worker.live_epoch,
                *(prepared.epoch for prepared in beat.worker.prepared),
                *(partition.epoch for partition in beat.worker.partitions),
            )
        )
        return max((number for number in shown if number <= _MOST), default=0)

    def services(self) -> list[str]:
        """The services that were heard of, by name; alive or not."""
        return sorted({beat.worker.service for beat in self.beats.values()})

    def alive(self, service: str, now_ms: int | None = None) -> dict[str, WorkerState]:
        """Workers of one service that run, by instance: by the newest beat of anybody, or as of `now_ms`."""
        now_ms = self._clock.newest_ms if now_ms is None else now_ms
        return {key: beat.worker for key, beat in self.of(service) if beat.state(now_ms) in ALIVE}

    def serving(self) -> dict[str, WorkerState]:
        """Workers that answer events now: they run, and own partitions."""
        now_ms = self._clock.newest_ms
        return {key: beat.worker for key, beat in self.of("inference") if beat.state(now_ms) == "serving"}
