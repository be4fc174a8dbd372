"""What one loop counts and times, under the names of its service and pipeline."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from freshet.avro.codec_time import CodecTime
from freshet.contracts.batch import Batch
from freshet.contracts.logic import Job
from freshet.contracts.worker import WorkerReport
from freshet.runtime.batch_outcome import BatchOutcome
from freshet.runtime.bus.protocol import Collected, Place
from freshet.runtime.jobs import Runner, Stop
from freshet.runtime.metrics import of_services as told
from freshet.runtime.telemetry import Metrics


class LoopMetrics:
    """One loop's share of the process's metrics."""

    def __init__(self, metrics: Metrics, service: str, pipeline: str) -> None:
        self._metrics = metrics
        self._labels = (service, pipeline)

    def answered(self, got: Collected, outcome: BatchOutcome, *, logic_s: float, commit_s: float, now_ms: int) -> None:
        """A batch was answered and committed at `now_ms`. Rows of partitions that are held count as unread."""
        metrics, labels = self._metrics, self._labels
        held = {Place(hold.role, hold.partition) for hold in outcome.holds}
        rows = 0
        for batch in got.batches:
            values = _values(batch, held)
            rows += len(values)
            metrics[told.RECORDS_CONSUMED].labels(*labels, batch.role).inc(len(values))
            metrics[told.BYTES_CONSUMED].labels(*labels, batch.role).inc(_bytes(values))
        for send in outcome.sends:
            metrics[told.RECORDS_PRODUCED].labels(*labels, send.role).inc(len(send.values))
            metrics[told.BYTES_PRODUCED].labels(*labels, send.role).inc(_bytes(send.values))
        for (role, reason), count in outcome.dead.items():
            metrics[told.DEAD_LETTERS].labels(*labels, role, reason).inc(count)
        metrics[told.TRANSACTIONS].labels(*labels).inc()
        metrics[told.BATCH_ROWS].labels(*labels).observe(rows)
        metrics[told.LOGIC_SECONDS].labels(*labels).observe(logic_s)
        metrics[told.COMMIT_SECONDS].labels(*labels).observe(commit_s)
        first_ms = min(batch.records[0].timestamp()[1] for batch in got.batches)
        metrics[told.ANSWER_DELAY].labels(*labels).observe(max(0, now_ms - first_ms) / 1000)

    def coded(self, time: CodecTime) -> None:
        """How long decoding and encoding of such a batch took."""
        for step, took_s in (("decode", time.decode_s), ("encode", time.encode_s)):
            self._metrics[told.CODEC_SECONDS].labels(*self._labels, step).observe(took_s)

    def rewound(self, cause: str) -> None:
        """A batch was dropped, to be read again."""
        self._metrics[told.REWINDS].labels(*self._labels, cause).inc()

    def rebalanced(self, owned: int) -> None:
        """Partitions came or went; so many are ours now."""
        self._metrics[told.REBALANCES].labels(*self._labels).inc()
        self._metrics[told.OWNED_PARTITIONS].labels(*self._labels).set(owned)

    def refused(self, role: str, count: int) -> None:
        """Control records could not be read."""
        self._metrics[told.CONTROL_REFUSED].labels(*self._labels, role).inc(count)

    def state(self, *, held: int, ready: bool) -> None:
        """How many partitions wait, and whether the loop is ready."""
        self._metrics[told.HELD_PARTITIONS].labels(*self._labels).set(held)
        self._metrics[told.READY].labels(*self._labels).set(ready)

    def reported(self, report: WorkerReport) -> None:
        """Which models this worker has; a service without an epoch has none, and shows nothing."""
        if report.live_epoch or report.resident:
            self._metrics[told.LIVE_EPOCH].labels(*self._labels).set(report.live_epoch)
            self._metrics[told.RESIDENT_MODELS].labels(*self._labels).set(len(report.resident))
            self._metrics[told.QUARANTINED_MODELS].labels(*self._labels).set(len(report.quarantined))

    def measured(self, values: Mapping[str, float]) -> None:
        """What the logic says of its own part, by name; see `Logic.measured`."""
        for name, value in values.items():
            self._metrics[told.MEASURED[name]].labels(*self._labels).set(value)

    def timed(self, run: Runner) -> Runner:
        """The same runner of jobs, whose times and failures are told; it is called from other threads."""

        def timing(job: Job[Any], stop: Stop) -> object:
            name, began_s = type(job).__name__, time.perf_counter()
            try:
                return run(job, stop)
            except BaseException:
                self._metrics[told.JOBS_FAILED].labels(*self._labels, name).inc()
                raise
            finally:
                took_s = time.perf_counter() - began_s
                self._metrics[told.JOB_SECONDS].labels(*self._labels, name).observe(took_s)

        return timing

    def closed(self) -> None:
        """The loop has ended: its last state must not go on being shown."""
        self.state(held=0, ready=False)
        self._metrics[told.OWNED_PARTITIONS].labels(*self._labels).set(0)


def _values(batch: Batch, held: set[Place]) -> list[bytes | None]:
    """The values of the rows that were answered."""
    if not any(role == batch.role for role, _ in held):
        return batch.values
    partitions = batch.partitions.tolist()
    return [value for value, at in zip(batch.values, partitions, strict=True) if Place(batch.role, at) not in held]


def _bytes(values: Sequence[bytes | None]) -> int:
    return sum(map(len, filter(None, values)))
