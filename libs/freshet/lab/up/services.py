"""The service processes of some pipelines: started, looked at, and ended in order."""

import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from freshet.contracts.topic_table import topic_table
from freshet.inference.core.report import NO_MODEL
from freshet.lab.supervisor import Supervisor
from freshet.runtime.service import ControlService, DataService, Service, parts_of

RETRAINING: Final = "retraining"
_SCALED: Final = "inference"
"""The service of which `--workers` says how many processes there are."""
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


def plan(services: Sequence[Service], pipelines: Sequence[str], workers: int, ports: Iterator[int]) -> list[Planned]:
    """The processes of these services, all for these pipelines, in the order in which they are to end.

    That is the order in which a record passes them; who decides for all pipelines comes last.
    """
    run = (sys.executable, "-m", "freshet.cli", "run")
    planned = []
    for service in sorted(services, key=_place_in_flow):
        alone = isinstance(service, ControlService)
        for slot in range(processes(service, workers)):
            name = service.name if alone else f"{service.name}-{slot}"
            which = () if alone else ("--pipelines", ",".join(pipelines), "--slot", str(slot))
            port = next(ports)
            planned.append(Planned(name, (*run, service.name, *which, "--http-port", str(port)), port))
    return planned


def processes(service: Service, workers: int) -> int:
    """How many there are of it."""
    return workers if service.name == _SCALED else 1


def _place_in_flow(service: Service) -> tuple[bool, int, str]:
    """By the first topic that it answers: `topics.yaml` names them in the order in which a record passes."""
    if isinstance(service, ControlService):
        return True, 0, service.name
    roles = list(topic_table())
    parts = [part for part in parts_of(service) if isinstance(part, DataService)]
    inputs = [roles.index(reference.input) for part in parts for reference in part.references]
    return False, min(inputs, default=len(roles)), service.name


class Services:
    """Planned processes under a supervisor, planned in the order in which they end."""

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
        for name in filter(self._started.__contains__, self._planned):
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
