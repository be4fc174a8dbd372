"""What one loop counts and times, under the names of its service and pipeline."""

from collections.abc import Mapping

from freshet.runtime.batch_outcome import BatchOutcome
from freshet.runtime.bus.protocol import Collected
from freshet.runtime.telemetry import Metrics


class LoopMetrics:
    """One loop's share of the process's metrics."""

    def __init__(self, metrics: Metrics, service: str, pipeline: str) -> None:
        self._metrics = metrics
        self._labels = (service, pipeline)

    def answered(self, got: Collected, outcome: BatchOutcome, *, logic_s: float, commit_s: float, now_ms: int) -> None:
        """A batch was answered and committed at `now_ms`."""
        metrics, labels = self._metrics, self._labels
        for batch in got.batches:
            metrics.records_consumed.labels(*labels, batch.role).inc(len(batch))
        for send in outcome.sends:
            metrics.records_produced.labels(*labels, send.role).inc(len(send.values))
        for reason, count in outcome.dead.items():
            metrics.dead_letters.labels(*labels, reason).inc(count)
        metrics.transactions.labels(*labels).inc()
        metrics.batch_rows.labels(*labels).observe(outcome.rows)
        metrics.logic_seconds.labels(*labels).observe(logic_s)
        metrics.commit_seconds.labels(*labels).observe(commit_s)
        newest_ms = got.batches[-1].records[-1].timestamp()[1]
        metrics.lag_seconds.labels(*labels).set(max(0, now_ms - newest_ms) / 1000)

    def rewound(self, cause: str) -> None:
        """A batch was dropped, to be read again."""
        self._metrics.rewinds.labels(*self._labels, cause).inc()

    def rebalanced(self, owned: int) -> None:
        """Partitions came or went; so many are ours now."""
        self._metrics.rebalances.labels(*self._labels).inc()
        self._metrics.owned_partitions.labels(*self._labels).set(owned)

    def refused(self, role: str, count: int) -> None:
        """Control records could not be read."""
        self._metrics.control_refused.labels(*self._labels, role).inc(count)

    def state(self, *, held: int, ready: bool) -> None:
        """How many partitions wait, and whether the loop is ready."""
        self._metrics.held_partitions.labels(*self._labels).set(held)
        self._metrics.ready.labels(*self._labels).set(ready)

    def measured(self, values: Mapping[str, float]) -> None:
        """What the logic says of its own part, by name; see `Metrics.measured`."""
        for name, value in values.items():
            self._metrics.measured[name].labels(*self._labels).set(value)

    def closed(self) -> None:
        """The loop has ended: its last state must not go on being shown."""
        self.state(held=0, ready=False)
        self._metrics.owned_partitions.labels(*self._labels).set(0)
