"""What the webhook bridge tells of itself, beside what every process tells."""

from typing import Final

from freshet.runtime.metrics.metric import counter

DELIVERED: Final = counter(
    "webhook_delivered_records_total",
    "records",
    "Decisions, alarms and trainings that the receiver took.",
    "kind",
    source="webhook",
)
FAILED: Final = counter(
    "webhook_failed_records_total",
    "records",
    "Records that went to the dead-letter file, because the receiver did not take them.",
    "kind",
    source="webhook",
)
TRIES: Final = counter(
    "webhook_tries_total",
    "count",
    "Requests by what they led to: taken, again or given_up.",
    "kind",
    "outcome",
    source="webhook",
)
BEGAN_AT_END: Final = counter(
    "webhook_began_at_end_total",
    "count",
    "Topics at whose end the bridge began, since nothing said what it had sent of them: at its first start, or because "
    "committed offsets had expired and the note was lost; pipeline is empty.",
    "kind",
    source="webhook",
)

OF_THE_WEBHOOK: Final = (DELIVERED, FAILED, TRIES, BEGAN_AT_END)
