"""Every metric, once; and the set-up of structured logs."""

import logging
import sys

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from structlog.typing import EventDict, Processor

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one process, labelled by service and pipeline.

    Names follow Prometheus: base units, `_total` on counters.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        scope = ("service", "pipeline")

        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(f"freshet_{name}", what, (*scope, *labels), registry=self.registry)

        def gauge(name: str, what: str, *labels: str) -> Gauge:
            return Gauge(f"freshet_{name}", what, (*scope, *labels), registry=self.registry)

        def histogram(name: str, what: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"freshet_{name}", what, scope, buckets=buckets, registry=self.registry)

        self.records_consumed = counter("records_consumed_total", "Input records answered.", "topic")
        self.records_produced = counter("records_produced_total", "Records written and committed.", "topic")
        self.dead_letters = counter("dead_letters_total", "Records set aside, by reason code.", "reason")
        self.transactions = counter("transactions_committed_total", "Transactions committed.")
        self.rewinds = counter("rewinds_total", "Batches dropped and read again, by cause.", "cause")
        self.rebalances = counter("rebalances_total", "Rebalances that gave or took partitions.")
        self.control_refused = counter(
            "control_records_refused_total", "Control records that could not be read.", "topic"
        )
        self.batch_rows = histogram("batch_size_records", "Rows per batch.", (1, 5, 10, 50, 100, 500, 1000, 2000, 5000))
        self.logic_seconds = histogram("logic_duration_seconds", "Time the logic took for a batch.", _SECONDS)
        self.commit_seconds = histogram("commit_duration_seconds", "Time a transaction took.", _SECONDS)
        self.lag_seconds = gauge(
            "batch_age_seconds", "Age of the newest record of the last batch when it was committed: lag in time."
        )
        self.held_partitions = gauge("held_partitions", "Partitions that wait, for a model or a schema.")
        self.owned_partitions = gauge("owned_partitions", "Partitions that this process owns.")
        self.measured = {
            name: gauge(name, what)
            for name, what in {
                "open_prediction_records": "Predictions that may still get their first label.",
                "waiting_label_records": "Labels that wait for a prediction.",
                "state_bytes": "Memory that the state takes.",
                "label_delay_seconds": "Mean time from prediction to label, of the last batch that had any.",
                "join_coverage_ratio": "Of the predictions whose time for labels is over, the share that has one.",
            }.items()
        }
        """What the logic itself measures; see `Logic.measured`."""
        self.ready = gauge("ready", "1 when the service can serve.")


def configure_logs(level: str, **context: object) -> None:
    """JSON lines on stderr from structlog and from the standard library alike; `context` goes into every line.

    So do structlog's context variables: where a process has several loops, they say of which one a line is.
    """

    def add_context(_logger: object, _method: str, event: EventDict) -> EventDict:
        return {**context, **structlog.contextvars.get_contextvars(), **event}

    shared: list[Processor] = [
        add_context,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # a frame's variables may hold passwords
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
