"""The service processes of some pipelines: started, looked at, and ended in order."""

import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from freshet.inference.core.report import NO_MODEL
from freshet.lab.supervisor import Supervisor

REGISTRY: Final = "registry"
_HTTP_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Planned:
    """One service process before it is started."""

    name: str
    command: tuple[str, ...]
    http_port: int

    @property
    def address(self) -> str:
        """Where it answers for its health and metrics."""
        return f"http://127.0.0.1:{self.http_port}"


def plan(pipelines: Sequence[str], workers: int, ports: Sequence[int]) -> list[Planned]:
    """Registry, ingestion, and so many inference workers, all for these pipelines; `ports` has one for each."""
    which = ("--pipelines", ",".join(pipelines))
    wanted: list[tuple[str, tuple[str, ...]]] = [
        (REGISTRY, ("registry",)),
        ("ingestion-0", ("ingestion", *which, "--slot", "0")),
        *((f"inference-{slot}", ("inference", *which, "--slot", str(slot))) for slot in range(workers)),
    ]
    run = (sys.executable, "-m", "freshet.cli", "run")
    return [
        Planned(name, (*run, *what, "--http-port", str(port)), port)
        for (name, what), port in zip(wanted, ports, strict=True)
    ]


class Services:
    """Planned processes under a supervisor."""

    def __init__(self, supervisor: Supervisor, planned: Sequence[Planned], env: Mapping[str, str]) -> None:
        self._supervisor, self._env = supervisor, env
        self._planned = {one.name: one for one in planned}
        self._started: list[str] = []

    def start(self, name: str) -> None:
        """Start one; returns at once."""
        self._supervisor.start(name, self._planned[name].command, self._env)
        self._started.append(name)

    def waiting(self) -> dict[str, str]:
        """Who of those that were started is not ready, and why. A worker that lacks nothing but a model is ready."""
        found = {name: _unready(self._planned[name].address) for name in self._started}
        return {name: why for name, why in found.items() if why is not None}

    def restarts(self, name: str) -> int:
        """How often one was started again; 0 before its first start."""
        return self._supervisor.restarts(name) if name in self._started else 0

    def unmendable(self) -> tuple[str, int] | None:
        """One that has ended by itself with an exit code that no restart can mend."""
        ended = ((name, self._supervisor.ended_with(name)) for name in self._started)
        return next(((name, code) for name, code in ended if code), None)

    def stop(self, hurry: threading.Event) -> None:
        """End all, those that read first before those that they depend on, and wait; kill what is left on `hurry`."""
        ending = threading.Thread(target=self._stop_in_order, name="stop", daemon=True)
        ending.start()
        while ending.is_alive():
            if hurry.wait(0.1):
                self._supervisor.stop_all(timeout_s=0.0)
                ending.join()

    def _stop_in_order(self) -> None:
        for name in sorted(self._started, key=lambda name: (name == REGISTRY, name.startswith("inference"))):
            self._supervisor.stop(name)


def _unready(address: str) -> str | None:
    try:
        with urllib.request.urlopen(f"{address}/ready", timeout=_HTTP_S):  # noqa: S310 - loopback
            return None
    except urllib.error.HTTPError as error:
        with error:
            why = error.read().decode(errors="replace").strip()
        return why if why.replace(NO_MODEL, "").strip("; ") else None
    except OSError:
        return "it does not answer over HTTP yet"
