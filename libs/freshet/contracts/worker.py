"""What is said of a worker on `freshet.workers`: who it is, which the runtime knows, and how its own part is doing."""

from dataclasses import dataclass

from freshet.contracts.messages import PartitionState, Prepared


@dataclass(frozen=True, slots=True)
class Process:
    """One run of a process, told from every other run by these three together."""

    host: str = ""
    pid: int = 0
    started_ms: int = 0
    """Wall time of its start: only there to tell two runs apart, so a wrong clock does no harm."""


UNKNOWN_PROCESS = Process()
"""A run that does not say who it is."""


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What a core tells of its own part: the fields of `WorkerState` that only it knows."""

    live_epoch: int = 0
    prepared: tuple[Prepared, ...] = ()
    resident: tuple[str, ...] = ()
    partitions: tuple[PartitionState, ...] = ()
    """With the epoch that each is answered under; where there is none, the runtime knows enough of them."""
    quarantined: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """What an operator should know although it answers, a sentence each."""


def about(pipeline: str, told: str) -> str:
    """A warning about one of the pipelines that a process serves."""
    return f"pipeline {pipeline}: {told}"


def is_about(warning: str, pipeline: str) -> bool:
    """Whether `about` made the warning for this pipeline."""
    return warning.startswith(about(pipeline, ""))


NOTHING_TO_REPORT = WorkerReport()
"""For a core of which it is enough to know that it lives."""
