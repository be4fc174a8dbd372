"""What makes a service: how its logic is built from where it runs. Each service declares one `SERVICE`."""

from collections.abc import Callable
from dataclasses import dataclass

from freshet.contracts.logic import Decider, Logic
from freshet.contracts.topics import TopicNames
from freshet.contracts.worker import UNKNOWN_PROCESS, Process
from freshet.runtime.bus.protocol import Assignor, Bus
from freshet.runtime.jobs import Runner
from freshet.runtime.recovery import Trace
from freshet.runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """What a service's logic may know about where it runs."""

    names: TopicNames
    settings: Settings
    bus: Bus
    process: Process = UNKNOWN_PROCESS


def no_jobs(job: object) -> object:
    """For logics that start none."""
    raise TypeError(f"this service runs no jobs, but was asked for {type(job).__name__}.")


@dataclass(frozen=True, slots=True)
class DataService:
    """A service that answers a pipeline's records: one loop per pipeline."""

    name: str
    logic: Callable[[Context], Logic]
    traces: tuple[Trace, ...]
    runner: Callable[[Context], Runner] = lambda _: no_jobs
    transaction_timeout_ms: int | None = None
    """Overrides the setting where a service must not hide others' rows for long."""
    assignor: Assignor | None = None
    """How its group divides partitions; None: `range` in fixed slots, else `cooperative-sticky`."""


@dataclass(frozen=True, slots=True)
class ControlService:
    """A service that decides for all pipelines: one owner at a time."""

    name: str
    decider: Callable[[Context], Decider]
    runner: Callable[[Context], Runner] = lambda _: no_jobs


Service = DataService | ControlService
