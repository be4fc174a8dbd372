"""What the console tells of itself, beside what every process tells."""

from typing import Final

from freshet.runtime.metrics.metric import gauge

OPEN_PAGES: Final = gauge(
    "console_open_pages", "count", "Pages in browsers that follow Kafka now; pipeline is empty.", source="console"
)
BUILD_SECONDS: Final = gauge(
    "console_build_seconds",
    "seconds",
    "How long it took to make the newest pages of all pipelines; pipeline is empty.",
    source="console",
)
SNAPSHOT_AGE: Final = gauge(
    "console_snapshot_age_seconds",
    "seconds",
    "How old the newest pages are; pipeline is empty.",
    source="console",
)

OF_THE_CONSOLE: Final = (OPEN_PAGES, BUILD_SECONDS, SNAPSHOT_AGE)
