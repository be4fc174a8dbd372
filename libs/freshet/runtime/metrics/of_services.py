"""What a service tells of itself. A dead one tells nothing: what must be known then, `freshet observe` tells."""

from typing import Any, Final

from prometheus_client import Counter, Gauge

from freshet.runtime.metrics.metric import LONG_S, SHORT_S, Metric, counter, gauge, histogram

RECORDS_CONSUMED: Final = counter(
    "records_consumed_total",
    "records",
    "Input records answered, by the role of their topic.",
    "topic",
    source="data services",
)
BYTES_CONSUMED: Final = counter(
    "consumed_bytes_total",
    "bytes",
    "Bytes of the values of input records that were read and answered.",
    "topic",
    source="data services",
)
RECORDS_PRODUCED: Final = counter(
    "records_produced_total",
    "records",
    "Records written and committed, by the role of their topic.",
    "topic",
    source="data services",
)
BYTES_PRODUCED: Final = counter(
    "produced_bytes_total", "bytes", "Bytes of the values of those records.", "topic", source="data services"
)
DEAD_LETTERS: Final = counter(
    "dead_letters_total",
    "records",
    "Input records set aside, by the role of their topic and the reason's code.",
    "topic",
    "reason",
    source="data services",
)
TRANSACTIONS: Final = counter("transactions_committed_total", "count", "Transactions committed.")
REWINDS: Final = counter(
    "rewinds_total",
    "count",
    "Batches or decisions dropped, to be made again from what is committed, by cause.",
    "cause",
)
REBALANCES: Final = counter(
    "rebalances_total", "count", "Rebalances that gave or took partitions.", source="data services"
)
CONTROL_REFUSED: Final = counter(
    "control_records_refused_total",
    "records",
    "Records of control topics that could not be read, by the role of their topic.",
    "topic",
)
JOBS_FAILED: Final = counter(
    "jobs_failed_total", "count", "Jobs beside the loop that failed, by what they were.", "job"
)

BATCH_ROWS: Final = histogram(
    "batch_size_records",
    "records",
    "Records that were answered in one transaction.",
    buckets=(1, 5, 10, 50, 100, 500, 1000, 2000, 5000),
)
LOGIC_SECONDS: Final = histogram(
    "logic_duration_seconds", "seconds", "Time to answer a batch: reading, computing and writing its bytes."
)
CODEC_SECONDS: Final = histogram(
    "codec_duration_seconds",
    "seconds",
    "Of that time: to read the records of a batch, and to write those of its answers, by step: decode, encode.",
    "step",
    buckets=(0.0001, 0.00025, 0.0005, *SHORT_S),
)
COMMIT_SECONDS: Final = histogram(
    "commit_duration_seconds", "seconds", "Time a transaction took, from its begin until it was committed."
)
ANSWER_DELAY: Final = histogram(
    "answer_delay_seconds",
    "seconds",
    "From when the broker took in the first record of a batch until its answer was committed. Of what is not answered "
    "it tells nothing: see freshet_lag_seconds.",
    buckets=LONG_S,
)
JOB_SECONDS: Final = histogram(
    "job_duration_seconds",
    "seconds",
    "Time that work beside the loop took, by what it was: loading a model, admission, training.",
    "job",
    buckets=LONG_S,
    source="services",
)

READY: Final = gauge("ready", "number", "1 when the service can serve.")
HELD_PARTITIONS: Final = gauge(
    "held_partitions", "partitions", "Partitions that wait, for a model or a schema.", source="data services"
)
OWNED_PARTITIONS: Final = gauge(
    "owned_partitions", "partitions", "Partitions that this process owns.", source="data services"
)
LIVE_EPOCH: Final = gauge(
    "live_epoch", "number", "Number of the epoch that this worker answers under.", source="inference"
)
RESIDENT_MODELS: Final = gauge(
    "resident_models", "models", "Model versions that are loaded and could answer at once.", source="inference"
)
QUARANTINED_MODELS: Final = gauge(
    "quarantined_models", "models", "Model versions that this worker will not load again.", source="inference"
)

OPEN_PREDICTIONS: Final = gauge(
    "open_prediction_records", "records", "Predictions that may still get their first label.", source="drift-join"
)
WAITING_LABELS: Final = gauge(
    "waiting_label_records", "records", "Labels that wait for a prediction.", source="drift-join"
)
STATE_BYTES: Final = gauge("state_bytes", "bytes", "Memory that the join's state takes.", source="drift-join")
LABEL_DELAY: Final = gauge(
    "label_delay_seconds",
    "seconds",
    "Mean time from prediction to label, of the last batch that had any.",
    source="drift-join",
)
JOIN_COVERAGE: Final = gauge(
    "join_coverage_ratio",
    "ratio",
    "Of the predictions whose time for labels is over, the share that has one.",
    source="drift-join",
)
UNKNOWN_VERSIONS: Final = gauge(
    "unknown_models",
    "models",
    "Model versions that answers name and the registry never admitted: strangers wrote these answers, and detection "
    "leaves them out.",
    source="detection",
)

MEASURED: Final = {
    metric.name.removeprefix("freshet_"): metric
    for metric in (OPEN_PREDICTIONS, WAITING_LABELS, STATE_BYTES, LABEL_DELAY, JOIN_COVERAGE, UNKNOWN_VERSIONS)
}
"""What a logic measures of its own part, by the names in `Logic.measured`."""

BUILD: Final = Metric(
    "freshet_build_info",
    Gauge,
    "info",
    ("version", "python"),
    "1; which release runs, and on which Python.",
    "services",
)
DISK_READ: Final = Metric(
    "freshet_process_disk_read_bytes_total", Counter, "bytes", (), "Bytes this process read from disks.", "services"
)
DISK_WRITTEN: Final = Metric(
    "freshet_process_disk_written_bytes_total", Counter, "bytes", (), "Bytes this process wrote to disks.", "services"
)
NETWORK_RECEIVED: Final = Metric(
    "freshet_network_received_bytes_total",
    Counter,
    "bytes",
    (),
    "Bytes that came over all network interfaces of this process's container, or else of its machine.",
    "services",
)
NETWORK_SENT: Final = Metric(
    "freshet_network_sent_bytes_total",
    Counter,
    "bytes",
    (),
    "Bytes that went out over all network interfaces of this process's container, or else of its machine.",
    "services",
)

IN_PROCESS: Final[tuple[Metric[Any], ...]] = (
    RECORDS_CONSUMED,
    BYTES_CONSUMED,
    RECORDS_PRODUCED,
    BYTES_PRODUCED,
    DEAD_LETTERS,
    TRANSACTIONS,
    REWINDS,
    REBALANCES,
    CONTROL_REFUSED,
    JOBS_FAILED,
    BATCH_ROWS,
    LOGIC_SECONDS,
    CODEC_SECONDS,
    COMMIT_SECONDS,
    ANSWER_DELAY,
    JOB_SECONDS,
    READY,
    HELD_PARTITIONS,
    OWNED_PARTITIONS,
    LIVE_EPOCH,
    RESIDENT_MODELS,
    QUARANTINED_MODELS,
    *MEASURED.values(),
)
"""What services count and set; each process also tells its BUILD."""

OF_THE_SYSTEM: Final = (DISK_READ, DISK_WRITTEN, NETWORK_RECEIVED, NETWORK_SENT)
"""What is asked of the system whenever somebody looks; the process's CPU, memory and files are prometheus_client's."""
