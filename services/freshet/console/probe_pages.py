"""What probes and scrapers ask the console."""

from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from freshet.console.site_parts import SiteParts
from freshet.runtime.metrics.of_console import BUILD_SECONDS, OF_THE_CONSOLE, OPEN_PAGES, SNAPSHOT_AGE
from freshet.runtime.metrics.of_services import READY
from freshet.runtime.telemetry import Metrics

NAME: Final = "console"
SHOWN: Final = (*OF_THE_CONSOLE, READY)
"""The metrics that it sets."""


class ProbePages:
    """Handlers."""

    def __init__(self, site: SiteParts) -> None:
        watching = site.watching
        self._watching = watching
        metrics = Metrics(SHOWN)
        metrics.tell_of_the_process()
        scope = (NAME, "")
        metrics[READY].labels(*scope).set_function(lambda: 0 if watching.waits_for() else 1)
        metrics[OPEN_PAGES].labels(*scope).set_function(lambda: site.streams)
        metrics[BUILD_SECONDS].labels(*scope).set_function(lambda: watching.build_s)
        metrics[SNAPSHOT_AGE].labels(*scope).set_function(watching.age_s)
        self._registry = metrics.registry

    def routes(self) -> list[BaseRoute]:
        """What they answer."""
        return [Route("/live", self.live), Route("/ready", self.ready), Route("/metrics", self.measured)]

    async def live(self, _: Request) -> Response:
        """Whether the console itself runs."""
        alive = self._watching.is_alive()
        return PlainTextResponse("yes\n" if alive else "the reading thread ended\n", status_code=200 if alive else 503)

    async def ready(self, _: Request) -> Response:
        """Whether it has read what there was, and Kafka answers."""
        why = self._watching.waits_for()
        return PlainTextResponse(f"{why or 'yes'}\n", status_code=503 if why else 200)

    async def measured(self, _: Request) -> Response:
        """For Prometheus."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)
