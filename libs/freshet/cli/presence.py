"""Who is there: which services beat on `freshet.workers`, and which have fallen silent."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from freshet.cli.control import Newest, newest
from freshet.cli.times import ago
from freshet.contracts.logic import Fact
from freshet.contracts.messages import WorkerState

_MISSED_BEATS: Final = 3

RUN: Final = {
    "registry": "freshet run registry",
    "ingestion": "freshet run ingestion --pipelines {}",
    "inference": "freshet run inference --pipelines {}",
}
"""How a service is started; the gap is the pipeline's name."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker's newest state, when it was told, and whether it still beats."""

    state: WorkerState
    beat_ms: int
    alive: bool


@dataclass(frozen=True, slots=True)
class Presence:
    """The workers of one service as of `now_ms`; of one pipeline, or of all for the registry."""

    service: str
    pipeline: str
    workers: tuple[Worker, ...]
    now_ms: int

    @property
    def alive(self) -> list[Worker]:
        """Those that beat."""
        return [worker for worker in self.workers if worker.alive]

    @property
    def silent(self) -> list[Worker]:
        """Those that beat no more, and never said good-bye: killed, hung, or cut off."""
        return [worker for worker in self.workers if not worker.alive and not worker.state.leaving]

    @property
    def command(self) -> str:
        """What starts it."""
        return RUN[self.service].format(self.pipeline)

    @property
    def told(self) -> str:
        """How it is, in a few words."""
        if self.alive:
            last = max(worker.beat_ms for worker in self.alive)
            lost = "".join(f"; {self._silence(worker)}" for worker in self.silent)
            count = f"{len(self.alive)} running" if self.service != "registry" else "running"
            return f"{count}, last heard {ago(last, self.now_ms)}{lost}"
        if self.silent:
            return "; ".join(map(self._silence, self.silent))
        if self.workers:
            return f"stopped {ago(max(worker.beat_ms for worker in self.workers), self.now_ms)}"
        return "has never been heard"

    def _silence(self, worker: Worker) -> str:
        where = f" on {worker.state.host}" if worker.state.host else ""
        since = ago(worker.beat_ms, self.now_ms)
        return f"{worker.state.instance}{where} was last heard {since} and has not said good-bye"


def presence(facts: Iterable[Fact], service: str, pipeline: str, now_ms: int) -> Presence:
    """Who serves a pipeline in that service by the facts of the workers' topic; the registry serves them all."""
    of = "" if service == "registry" else pipeline
    found = (worker(one, now_ms) for one in newest(facts, WorkerState).values())
    mine = [one for one in found if (one.state.service, one.state.pipeline) == (service, of)]
    return Presence(service, of, tuple(sorted(mine, key=lambda one: one.state.instance)), now_ms)


def worker(found: Newest[WorkerState], now_ms: int) -> Worker:
    """A worker that said this: alive until it has missed some beats, or said good-bye."""
    late_ms = now_ms - found.timestamp_ms
    alive = not found.message.leaving and late_ms <= _MISSED_BEATS * found.message.interval_ms
    return Worker(found.message, found.timestamp_ms, alive)


def absence(present: Presence) -> str:
    """A sentence about a service that does not answer, and how to start it; empty if it is there."""
    if present.alive:
        return ""
    of = "" if not present.pipeline else f" for {present.pipeline!r}"
    return f"No {present.service} is running{of} ({present.told}). Start it with `{present.command}`."
