"""What `freshet observe` tells of pipelines, from Kafka and the topics alone: true also where a service is dead.

Labels are bounded: services and topics are those of a pipeline, of partitions at most PARTITIONS_SHOWN are told apart,
of series at most SERIES_SHOWN; versions, events and entities are never labels.
"""

from typing import Any, Final

from prometheus_client import Counter, Gauge

from freshet.runtime.metrics.metric import Metric, told_of

PARTITIONS_SHOWN: Final = 64
"""A topic with more partitions is told of as a whole, with the label partition="all"."""
SERIES_SHOWN: Final = 20
"""What was served and the baselines come first, then slices by name."""

OBSERVED_AGE: Final = told_of(
    "observation_age_seconds", Gauge, "seconds", "How old all that is told of this pipeline here is."
)
LAG_RECORDS: Final = told_of(
    "lag_records",
    Gauge,
    "records",
    "Records that a reader can get and the service has not taken; where there are thousands, offsets.",
    "service",
    "topic",
    "partition",
)
LAG_SECONDS: Final = told_of(
    "lag_seconds",
    Gauge,
    "seconds",
    "How long the next of these records has waited since the broker took it in; 0 if there is none.",
    "service",
    "topic",
    "partition",
)
PATH_LAG_RECORDS: Final = told_of(
    "path_lag_records", Gauge, "records", "Records under way on the whole path to a prediction or an outcome.", "end"
)
PATH_LAG_SECONDS: Final = told_of(
    "path_lag_seconds",
    Gauge,
    "seconds",
    "How long ago the broker took in the oldest event or label that is still under way to that end; 0 if none is.",
    "end",
)
HIDDEN_OFFSETS: Final = told_of(
    "hidden_offsets", Gauge, "count", "Offsets behind open transactions, which nobody can read yet.", "topic"
)
STUCK_TRANSACTIONS: Final = told_of(
    "stuck_transactions", Gauge, "count", "Transactions that have been open for longer than any of ours may.", "topic"
)
WORKERS: Final = told_of(
    "workers",
    Gauge,
    "count",
    "Processes of a service: alive, or silent without a good-bye. Of a service for all pipelines, pipeline is empty.",
    "service",
    "state",
)
EPOCH_IN_FORCE: Final = told_of(
    "epoch_in_force", Gauge, "number", "Number of the epoch that the registry has put in force."
)
FRESHNESS: Final = told_of(
    "freshness_seconds",
    Gauge,
    "seconds",
    "Age of the newest label that the answering version has learned from; absent for a model that does not say.",
)
LABEL_TO_LIVE: Final = told_of(
    "label_to_live_seconds",
    Gauge,
    "seconds",
    "From the newest label that the answering version has learned from until it went live.",
)
ACCURACY: Final = told_of(
    "accuracy_ratio",
    Gauge,
    "ratio",
    "Share of right answers of a series, over its newest 1,000 labelled rows or so.",
    "series",
)
MEAN_ABSOLUTE_ERROR: Final = told_of(
    "mean_absolute_error",
    Gauge,
    "number",
    "Mean absolute error of a series of a regression, over its newest 1,000 labelled rows or so.",
    "series",
)
LABELLED: Final = told_of(
    "labelled_ratio",
    Gauge,
    "ratio",
    "Of the served predictions of the last day whose time for labels is over, the share that has one.",
)
ALARMS: Final = told_of(
    "alarms_total",
    Counter,
    "count",
    "Alarms on freshet.alarms, by detector, cause and level (suspected or detected).",
    "detector",
    "cause",
    "level",
)
OPEN_EPISODES: Final = told_of(
    "open_episodes",
    Gauge,
    "count",
    "Episodes of detected drift after whose newest alarm no other version has gone live.",
)
TRAININGS: Final = told_of(
    "trainings_total", Counter, "count", "Trainings, by how they ended: finished, failed or skipped.", "phase"
)
TRAININGS_OPEN: Final = told_of("trainings_under_way", Gauge, "count", "Trainings that have begun and not ended.")
BREACHES: Final = told_of(
    "verify_breaches",
    Gauge,
    "count",
    "Breaches that `freshet verify` found in the inputs of the last minutes; 0 is as promised.",
    "check",
)
JUDGED: Final = told_of("verify_judged_records", Gauge, "records", "Inputs that this judgement could judge.")
ANSWERED: Final = told_of(
    "verify_records",
    Gauge,
    "records",
    "What became of those inputs: prediction, dead_letter or waiting.",
    "became",
)

OF_TOPICS: Final[tuple[Metric[Any], ...]] = (
    OBSERVED_AGE,
    LAG_RECORDS,
    LAG_SECONDS,
    PATH_LAG_RECORDS,
    PATH_LAG_SECONDS,
    HIDDEN_OFFSETS,
    STUCK_TRANSACTIONS,
    WORKERS,
    EPOCH_IN_FORCE,
    FRESHNESS,
    LABEL_TO_LIVE,
    ACCURACY,
    MEAN_ABSOLUTE_ERROR,
    LABELLED,
    ALARMS,
    OPEN_EPISODES,
    TRAININGS,
    TRAININGS_OPEN,
    BREACHES,
    JUDGED,
    ANSWERED,
)
"""In the order of docs/metrics.md."""
