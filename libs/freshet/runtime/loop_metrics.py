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
from freshet.runtime.metrics.metric import CollectorT, Metric
from freshet.runtime.telemetry import Metrics


class LoopMetrics:
    """One loop's share of the process's metrics."""

    def __init__(self, metrics: Metrics, service: str, pipeline: str) -> None:
        self._metrics = metrics
        self._labels = (service, pipeline)
        self._series: dict[tuple[str, ...], Any] = {}

    def answered(self, got: Collected, outcome: BatchOutcome, *, logic_s: float, commit_s: float, now_ms: int) -> None:
        """A batch was answered and committed at `now_ms`. Rows of partitions that are held count as unread."""
        held = {Place(hold.role, hold.partition) for hold in outcome.holds}
        rows = 0
        for batch in got.batches:
            values = _unheld(batch, held) if held else batch.values
            rows += len(values)
            self._of(told.RECORDS_CONSUMED, batch.role).inc(len(values))
            self._of(told.BYTES_CONSUMED, batch.role).inc(_bytes(values))
        for send in outcome.sends:
            self._of(told.RECORDS_PRODUCED, send.role).inc(len(send.values))
            self._of(told.BYTES_PRODUCED, send.role).inc(_bytes(send.values))
        for (role, reason), count in outcome.dead.items():
            self._of(told.DEAD_LETTERS, role, reason).inc(count)
        self._of(told.TRANSACTIONS).inc()
        self._of(told.BATCH_ROWS).observe(rows)
        self._of(told.LOGIC_SECONDS).observe(logic_s)
        self._of(told.COMMIT_SECONDS).observe(commit_s)
        first_ms = min(batch.records[0].timestamp()[1] for batch in got.batches)
        self._of(told.ANSWER_DELAY).observe(max(0, now_ms - first_ms) / 1000)

    def _of(self, metric: Metric[CollectorT], *labels: str) -> CollectorT:
        """This loop's series of a metric. It is kept: looking it up costs more than what is done with it."""
        key = (metric.name, *labels)
        if key not in self._series:
            self._series[key] = self._metrics[metric].labels(*self._labels, *labels)
        series: CollectorT = self._series[key]
        return series

    def coded(self, time: CodecTime) -> None:
        """How long decoding and encoding of such a batch took."""
        for step, took_s in (("decode", time.decode_s), ("encode", time.encode_s)):
            self._metrics[told.CODEC_SECONDS].labels(*self._labels, step).observe(took_s)

    def rewound(self, cause: str) -> None:
        """A batch was dropped, to be read again."""
        self._of(told.REWINDS, cause).inc()

    def rebalanced(self, owned: int) -> None:
        """Partitions came or went; so many are ours now."""
        self._of(told.REBALANCES).inc()
        self._of(told.OWNED_PARTITIONS).set(owned)

    def refused(self, role: str, count: int) -> None:
        """Control records could not be read."""
        self._of(told.CONTROL_REFUSED, role).inc(count)

    def state(self, *, held: int, ready: bool) -> None:
        """How many partitions wait, and whether the loop is ready."""
        self._of(told.HELD_PARTITIONS).set(held)
        self._of(told.READY).set(ready)

    def reported(self, report: WorkerReport) -> None:
        """Which models this worker has; a service without an epoch has none, and shows nothing."""
        if report.live_epoch or report.resident:
            self._of(told.LIVE_EPOCH).set(report.live_epoch)
            self._of(told.RESIDENT_MODELS).set(len(report.resident))
            self._of(told.QUARANTINED_MODELS).set(len(report.quarantined))

    def measured(self, values: Mapping[str, float]) -> None:
        """What the logic says of its own part, by name; see `Logic.measured`."""
        for name, value in values.items():
            self._of(told.MEASURED[name]).set(value)

    def timed(self, run: Runner) -> Runner:
        """The same runner of jobs, whose times and failures are told; it is called from other threads."""

        def timing(job: Job[Any], stop: Stop) -> object:
            name, began_s = type(job).__name__, time.perf_counter()
            try:
                return run(job, stop)
            except BaseException:
                self._of(told.JOBS_FAILED, name).inc()
                raise
            finally:
                took_s = time.perf_counter() - began_s
                self._of(told.JOB_SECONDS, name).observe(took_s)

        return timing

    def closed(self) -> None:
        """The loop has ended: its last state must not go on being shown."""
        self.state(held=0, ready=False)
        self._of(told.OWNED_PARTITIONS).set(0)


def _unheld(batch: Batch, held: set[Place]) -> list[bytes | None]:
    """The values of the rows that were answered."""
    partitions = batch.partitions.tolist()
    return [value for value, at in zip(batch.values, partitions, strict=True) if Place(batch.role, at) not in held]


def _bytes(values: Sequence[bytes | None]) -> int:
    return sum(map(len, filter(None, values)))
