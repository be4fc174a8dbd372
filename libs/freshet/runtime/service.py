"""What makes a service: how its logic is built from where it runs, and how it is found.

A service is a folder of the namespace `freshet` whose `service.py` declares one `SERVICE`. No list names them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Event
from typing import Any, Final

from freshet.contracts.logic import Decider, Job, Logic
from freshet.contracts.topic_table import TopicNames
from freshet.contracts.worker import UNKNOWN_PROCESS, Process
from freshet.runtime.bus.protocol import Assignor, Bus
from freshet.runtime.jobs import Runner, Stop
from freshet.runtime.recovery import Clue, InputReference
from freshet.runtime.settings import Settings, SettingsError
from freshet.runtime.summaries import Summary

_HERE: Final = Path(__file__).parent.name
"""Holds a `service.py` too: this one."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a service's logic may know about where it runs."""

    names: TopicNames
    settings: Settings
    bus: Bus
    process: Process = UNKNOWN_PROCESS


def no_jobs(job: Job[Any], stop: Stop) -> object:  # noqa: ARG001
    """For logics that start none."""
    raise TypeError(f"this service runs no jobs, but was asked for {type(job).__name__}.")


@dataclass(frozen=True, slots=True)
class DataService:
    """A service that answers a pipeline's records: one loop per pipeline."""

    name: str
    logic: Callable[[Context], Logic]
    references: tuple[InputReference, ...]
    runner: Callable[[Context], Runner] = lambda _: no_jobs
    transaction_timeout_ms: int | None = None
    """Overrides the setting, where an open transaction of a killed worker would hide others' rows."""
    assignor: Assignor | None = None
    """How its group divides partitions; None: `range` in fixed slots, else `cooperative-sticky`."""
    bus: Callable[[Context], Bus] = lambda context: context.bus
    """What its loop reads and writes with, where that is the service's own choice."""
    summary: Summary | None = None
    """An output whose records sum up how far all inputs of a partition were read, where references do not fit."""

    @property
    def clues(self) -> tuple[Clue, ...]:
        """All outputs that show which inputs are answered."""
        return self.references if self.summary is None else (*self.references, self.summary)


@dataclass(frozen=True, slots=True)
class ControlService:
    """A service that decides for all pipelines: one owner at a time."""

    name: str
    decider: Callable[[Context], Decider]
    runner: Callable[[Context], Runner] = lambda _: no_jobs
    jobs_at_once: int = 1
    """Jobs of different queues that run beside each other."""


@dataclass(frozen=True, slots=True)
class Suite:
    """Data services that belong together, in one folder: each runs alone, or all in one process under this name."""

    name: str
    services: tuple[DataService, ...]
    """Named after the suite: `drift-join` is one of `drift`."""


@dataclass(frozen=True, slots=True)
class EdgeService:
    """A service at the edge, for people and programs without a Kafka client. It answers no records and decides nothing.

    So it has no logic that the runtime would turn: it runs as it likes, until it is told to stop.
    """

    name: str
    run: Callable[[Settings, Event], int]
    """Serves all pipelines until the event is set, and returns the process's exit code."""
    reads: tuple[str, ...]
    """Roles of the topics that it reads."""
    writes: tuple[str, ...]
    """Roles of the topics that it writes to."""


Service = DataService | ControlService | Suite | EdgeService


def service_names() -> list[str]:
    """The services there are, sorted: of every package that adds a folder to the namespace."""
    portions = [Path(portion) for portion in import_module("freshet").__path__]
    return sorted({found.parent.name for portion in portions for found in portion.glob("*/service.py")} - {_HERE})


def load_service(name: str) -> Service:
    """What the service of this name declares; `drift-join` is found in the folder `drift`.

    Raises SettingsError if there is none, or if what it needs is missing.
    """
    names = service_names()
    folder = name if name in names else name.partition("-")[0]
    if folder not in names:
        raise SettingsError(f"there is no service {name!r}; there are: {', '.join(names)}.")
    found = getattr(import_module(f"freshet.{folder}.service"), "SERVICE", None)
    if not isinstance(found, Service) or found.name != folder:
        raise SettingsError(f"freshet/{folder}/service.py must declare SERVICE, a service of the name {folder!r}.")
    if name == folder:
        return found
    parts = {part.name: part for part in parts_of(found)}
    if name not in parts:
        raise SettingsError(f"there is no service {name!r} in {folder}; there are: {', '.join(parts)}.")
    return parts[name]


def parts_of(service: Service) -> tuple[DataService | ControlService | EdgeService, ...]:
    """The services that run under this one's name: those of a suite, else itself."""
    return service.services if isinstance(service, Suite) else (service,)


def slot_ids(service: Service, pipelines: Sequence[str], namespace: str, slot: str) -> list[str]:
    """The transactional ids under which a process of the service holds its slot on these pipelines; none for a service
    of which there is one.
    """
    if isinstance(service, ControlService):
        return []
    names = [TopicNames(namespace, pipeline) for pipeline in pipelines]
    return [name.transactional_id(part.name, slot) for name in names for part in parts_of(service)]
