"""Who is there: which services beat on `freshet.workers`, and which have fallen silent."""

from dataclasses import dataclass
from typing import Final

from freshet.contracts.beating_services import services_of_all, services_of_pipelines
from freshet.ledger.ledger import Ledger
from freshet.ledger.workers import ALIVE, Beat
from freshet.operate.times import ago

SERVING: Final = ("registry", "ingestion", "inference")
"""Those without whom no event is answered."""


@dataclass(frozen=True, slots=True)
class Presence:
    """The workers of one service as of `now_ms`, by the broker's clock; of one pipeline, or of all."""

    service: str
    pipeline: str
    beats: tuple[Beat, ...]
    """The newest of each worker, alive or not."""
    now_ms: int

    @property
    def alive(self) -> list[Beat]:
        """Those that beat."""
        return [beat for beat in self.beats if beat.state(self.now_ms) in ALIVE]

    @property
    def silent(self) -> list[Beat]:
        """Those that beat no more, and never said good-bye: killed, hung, or cut off."""
        return [beat for beat in self.beats if beat.state(self.now_ms) == "silent"]

    @property
    def command(self) -> str:
        """What starts it; of a suite, all of it."""
        return f"freshet run {self.suite}{f' --pipelines {self.pipeline}' if self.pipeline else ''}"

    @property
    def suite(self) -> str:
        """The folder that the service is found in: `drift` of `drift-join`."""
        return self.service.partition("-")[0]

    @property
    def told(self) -> str:
        """How it is, in a few words."""
        if self.alive:
            last = max(beat.timestamp_ms for beat in self.alive)
            lost = "".join(f"; {self._silence(beat)}" for beat in self.silent)
            count = f"{len(self.alive)} running" if self.pipeline else "running"
            return f"{count}, last heard {ago(last, self.now_ms)}{lost}"
        if self.silent:
            return "; ".join(map(self._silence, self.silent))
        if self.beats:
            return f"stopped {ago(max(beat.timestamp_ms for beat in self.beats), self.now_ms)}"
        return "has never been heard"

    def _silence(self, beat: Beat) -> str:
        where = f" on {beat.worker.host}" if beat.worker.host else ""
        since = ago(beat.timestamp_ms, self.now_ms)
        return f"{beat.worker.instance}{where} was last heard {since} and has not said good-bye"


def presence(ledger: Ledger, service: str, pipeline: str, now_ms: int) -> Presence:
    """Who serves a pipeline in that service; some serve all pipelines."""
    of = "" if service in services_of_all() else pipeline
    beats = ledger.of(of).workers.of(service, lane=None)
    return Presence(service, of, tuple(beat for _, beat in beats), now_ms)


def judging(ledger: Ledger, pipeline: str, now_ms: int) -> list[Presence]:
    """Who is there beside those that answer a pipeline's events: its other services, of other packages too."""
    heard = ledger.of(pipeline).workers.services()
    names = [name for name in dict.fromkeys((*services_of_pipelines(), *heard)) if name not in SERVING]
    return [presence(ledger, name, pipeline, now_ms) for name in names]


def absence(present: Presence) -> str:
    """A sentence about a service that does not answer, and how to start it; empty if it is there."""
    if present.alive:
        return ""
    of = "" if not present.pipeline else f" for {present.pipeline!r}"
    return f"No {present.service} is running{of} ({present.told}). Start it with `{present.command}`."
