"""The whole catalogue, in the order of docs/metrics.md."""

from typing import Any, Final

from freshet.runtime.metrics.metric import Metric
from freshet.runtime.metrics.of_console import OF_THE_CONSOLE
from freshet.runtime.metrics.of_gateway import OF_THE_GATEWAY
from freshet.runtime.metrics.of_services import BUILD, IN_PROCESS, OF_THE_SYSTEM
from freshet.runtime.metrics.of_topics import OF_TOPICS
from freshet.runtime.metrics.of_webhook import OF_THE_WEBHOOK

CATALOGUE: Final[tuple[Metric[Any], ...]] = (
    *OF_TOPICS,
    *IN_PROCESS,
    *OF_THE_CONSOLE,
    *OF_THE_GATEWAY,
    *OF_THE_WEBHOOK,
    BUILD,
    *OF_THE_SYSTEM,
)
