"""Who runs: workers of all services, by their beats, on the broker's clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from freshet.console.core.answer import Kind
from freshet.contracts.beating_services import services_of_all, services_of_pipelines
from freshet.ledger.ledger import Ledger
from freshet.ledger.workers import ALIVE, Beat

SILENT_AFTER: Final = 1.4
"""A worker is silent from so many intervals after its last beat; `missed beats` of the ledger make it dead.

One beat is missing then, and the next is not due yet: a busy worker may be late by four tenths of an interval.
"""
FORGOTTEN_MS: Final = 3_600_000
"""A worker that left, or died, so long ago is not shown any more."""
SERVING: Final = ("ingestion", "inference")
"""Those without whom no event of a pipeline is answered."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A process, or what is known of it."""

    name: str
    service: str
    kind: Kind
    state: str
    beat_ms: int
    epoch: int
    loaded: tuple[str, ...]
    partitions: tuple[int, ...]
    held: tuple[int, ...]
    memory_bytes: int
    quarantined: tuple[str, ...]
    alive: bool
    """Whether it still beats; numbers of one that does not are not shown."""


@dataclass(frozen=True, slots=True)
class Crew:
    """The workers of one service for one pipeline, or for all."""

    service: str
    workers: tuple[Worker, ...]

    @property
    def alive(self) -> int:
        """How many still beat."""
        return sum(worker.alive for worker in self.workers)

    @property
    def kind(self) -> Kind:
        """The worst of them; `off` if the service was never heard of."""
        if not self.workers:
            return "off"
        if not self.alive:
            return "off" if all(worker.state == "left" for worker in self.workers) else "bad"
        kinds = {worker.kind for worker in self.workers}
        return next((kind for kind in ("bad", "stale", "held") if kind in kinds), "ok")

    @property
    def words(self) -> str:
        """Such as `inference, 1 of 2`."""
        there = [worker for worker in self.workers if worker.state != "left"]
        return f"{self.service}, {self.alive} of {len(there)}" if there else f"{self.service}, none"


def crew(ledger: Ledger, service: str, pipeline: str, now_ms: int) -> Crew:
    """The workers of a service, those of another lane too, as of that moment of the broker's clock."""
    beats = ledger.of("" if service in services_of_all() else pipeline).workers.of(service, lane=None)
    found = [_worker(name, beat, now_ms) for name, beat in beats]
    recent = [one for one in found if one.alive or now_ms - one.beat_ms < FORGOTTEN_MS]
    return Crew(service, tuple(recent))


def crews(ledger: Ledger, pipeline: str, now_ms: int) -> dict[str, Crew]:
    """All services that a pipeline has to do with, by name; those of other packages too, once they were heard."""
    heard = ledger.of(pipeline).workers.services()
    names = dict.fromkeys((*services_of_pipelines(), *heard, *services_of_all()))
    return {name: crew(ledger, name, pipeline, now_ms) for name in names}


def own(crews: Mapping[str, Crew]) -> list[Crew]:
    """Of those, the ones that serve this pipeline alone."""
    return [found for name, found in crews.items() if name not in services_of_all()]


def _worker(name: str, beat: Beat, now_ms: int) -> Worker:
    told = beat.worker
    kind, state = _state(beat, now_ms)
    return Worker(
        name=name,
        service=told.service,
        kind=kind,
        state=state,
        beat_ms=beat.timestamp_ms,
        epoch=told.live_epoch,
        loaded=told.resident,
        partitions=tuple(sorted({at.partition for at in told.partitions})),
        held=tuple(sorted({at.partition for at in told.partitions if at.held})),
        memory_bytes=told.memory_bytes,
        quarantined=told.quarantined,
        alive=beat.state(now_ms) in ALIVE,
    )


def _state(beat: Beat, now_ms: int) -> tuple[Kind, str]:
    if beat.worker.leaving:
        return "off", "left"
    if beat.state(now_ms) not in ALIVE:
        return "bad", "dead"
    if now_ms >= _silent_from_ms(beat):
        return "stale", "silent"
    if any(at.held for at in beat.worker.partitions):
        return "held", "waits"
    return "ok", "serving" if beat.worker.partitions else "runs"


def _silent_from_ms(beat: Beat) -> int:
    return beat.timestamp_ms + int(SILENT_AFTER * beat.worker.interval_ms) + 1


def next_silence_ms(ledger: Ledger, now_ms: int) -> int | None:
    """When the next worker falls silent, should no more beats come; None if there is none that could."""
    beats = (beat for pipeline in ledger for beat in pipeline.workers.beats.values() if not beat.worker.leaving)
    return min((at_ms for at_ms in map(_silent_from_ms, beats) if at_ms > now_ms), default=None)


def dead_workers(found: Sequence[Crew]) -> list[Worker]:
    """Those that missed their beats and never said that they leave."""
    return [worker for one in found for worker in one.workers if worker.state == "dead"]


def silent_workers(found: Sequence[Crew]) -> list[Worker]:
    """Those whose last beat is overdue."""
    return [worker for one in found for worker in one.workers if worker.state == "silent"]
