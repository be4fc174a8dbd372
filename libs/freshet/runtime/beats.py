"""A worker's beats on `freshet.workers`: the same for every service, written beside the loop, newest only."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import structlog

from freshet.avro.control import encode
from freshet.contracts.messages import WorkerState
from freshet.contracts.topic_table import TopicNames
from freshet.contracts.worker import NOTHING_TO_REPORT, Process, WorkerReport
from freshet.runtime.bus.protocol import Send
from freshet.runtime.memory_use import resident_bytes
from freshet.runtime.reports import Reports

INTERVAL_MS: Final = 3_000
"""Time between two beats of a worker that has nothing new to say."""


class Beats:
    """Writes a worker's state at once when it has changed, else once an interval. Memory and offsets are no change."""

    def __init__(
        self,
        reports: Reports,
        names: TopicNames,
        service: str,
        slot: str,
        process: Process,
        *,
        memory: Callable[[], int] = resident_bytes,
    ) -> None:
        """`memory` gives the resident bytes of this process."""
        self._reports, self._names, self._service, self._process = reports, names, service, process
        self._instance, self._memory = names.worker(service, slot), memory
        self._last: WorkerReport = NOTHING_TO_REPORT
        self._next_ms: int | None = None
        self._warned: tuple[str, ...] = ()

    def beat(self, report: WorkerReport, now_ms: int) -> None:
        """Write the state if that is due. `now_ms` counts from any moment in the past, and need not be a date."""
        news = _without_offsets(report)
        if self._next_ms is None or news != self._last or now_ms >= self._next_ms:
            self._last, self._next_ms = news, now_ms + INTERVAL_MS
            self._tell(report, leaving=False)

    def leave(self) -> None:
        """Write the worker's last record: its slot is free, and nobody needs to wait for it."""
        self._tell(replace(self._last, partitions=()), leaving=True)

    def close(self) -> None:
        """Write what still waits, if that is quick, and free everything."""
        self._reports.close()

    def _tell(self, report: WorkerReport, *, leaving: bool) -> None:
        for warning in report.warnings:
            if warning not in self._warned:
                structlog.get_logger("worker").warning("warning", pipeline=self._names.pipeline, text=warning)
        self._warned = report.warnings
        state = WorkerState(
            instance=self._instance,
            service=self._service,
            pipeline=self._names.pipeline,
            lane=self._names.lane,
            interval_ms=INTERVAL_MS,
            live_epoch=report.live_epoch,
            prepared=report.prepared,
            resident=report.resident,
            partitions=report.partitions,
            quarantined=report.quarantined,
            warnings=report.warnings,
            memory_bytes=self._memory(),
            leaving=leaving,
            host=self._process.host,
            pid=self._process.pid,
            started_ms=self._process.started_ms,
        )
        self._reports.put(Send("workers", [self._instance.encode()], [encode(state)]))


def _without_offsets(report: WorkerReport) -> WorkerReport:
    partitions = (at.model_copy(update={"next_offset": -1}) for at in report.partitions)
    return replace(report, partitions=tuple(partitions))
