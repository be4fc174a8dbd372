"""What the gateway tells of itself, beside what every process tells."""

from typing import Final

from freshet.runtime.metrics.metric import counter, gauge, histogram

REQUESTS: Final = counter(
    "requests_total",
    "count",
    "HTTP requests answered, by route (events or labels) and status; pipeline is empty where it is unknown.",
    "route",
    "status",
    source="gateway",
)
REQUEST_SECONDS: Final = histogram(
    "request_duration_seconds",
    "seconds",
    "Time from a request until its answer; with ?wait it is the caller's way to the prediction.",
    "route",
    source="gateway",
)
REQUESTS_IN_FLIGHT: Final = gauge(
    "requests_in_flight", "count", "Requests that are not answered yet; pipeline is empty.", source="gateway"
)
TAIL_DROPPED: Final = counter(
    "tail_dropped_records_total",
    "records",
    "Predictions that readers of a tail were too slow for.",
    source="gateway",
)

OF_THE_GATEWAY: Final = (REQUESTS, REQUEST_SECONDS, REQUESTS_IN_FLIGHT, TAIL_DROPPED)
