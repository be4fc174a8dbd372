"""Runs the gateway: one thread that answers requests, one that follows what is published, two for each pipeline."""

import threading
from typing import Final

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp

from freshet.contracts.topics import TopicNames
from freshet.gateway.caller_guard import Guard
from freshet.gateway.core.limits import REQUESTS_IN_FLIGHT, TAILS, Room
from freshet.gateway.gateway_routes import NAME, GatewayRoutes
from freshet.gateway.gateway_settings import PORT, gateway_settings
from freshet.gateway.lanes import Lanes, Published
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.metrics.of_gateway import OF_THE_GATEWAY
from freshet.runtime.metrics.of_services import BYTES_PRODUCED, READY, RECORDS_PRODUCED
from freshet.runtime.settings import Settings, SettingsError
from freshet.runtime.telemetry import Metrics

SHOWN: Final = (*OF_THE_GATEWAY, RECORDS_PRODUCED, BYTES_PRODUCED, READY)
"""The metrics that it counts and sets."""
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_GRACE_S: Final = 12
"""Longer than Kafka may take to acknowledge: whoever was admitted gets an answer before the gateway ends."""
_OTHER_REQUESTS: Final = 500
_FRAME_BYTES: Final = 4_096
"""Of what a reader of a tail says, which is ignored."""


def listen(settings: Settings, stop: threading.Event) -> None:
    """Serve until `stop` is set. Raises SettingsError if the address cannot be had. Kafka may be away."""
    own, log = gateway_settings(settings.http_host), structlog.get_logger(NAME)
    metrics = Metrics(SHOWN)
    metrics.tell_of_the_process()
    bus = KafkaBus(settings.bootstrap_servers, TopicNames(settings.namespace, ""), extra=settings.kafka)
    published = Published(bus, stop)
    metrics[READY].labels(NAME, "").set_function(lambda: 0 if published.trouble else 1)
    lanes = Lanes(bus, settings.namespace, published)
    port = settings.http_port or PORT
    server = uvicorn.Server(
        uvicorn.Config(
            application(GatewayRoutes(lanes, metrics, Room()), own.token.get_secret_value(), own.hosts),
            host=settings.http_host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            ws_max_size=_FRAME_BYTES,
            limit_concurrency=REQUESTS_IN_FLIGHT + TAILS + _OTHER_REQUESTS,
            timeout_graceful_shutdown=_GRACE_S,
        )
    )
    published.start()
    serving = threading.Thread(target=server.run, name="serving", daemon=True)
    serving.start()
    while serving.is_alive() and not server.started:
        serving.join(0.05)
    if not serving.is_alive():
        stop.set()
        raise SettingsError(
            f"cannot listen on {settings.http_host}:{port}. Set FRESHET_HTTP_HOST and FRESHET_HTTP_PORT, or give "
            "--http-port, to an address of this machine that is free."
        )
    log.info("serving", address=f"http://{settings.http_host}:{port}/", token=bool(own.token.get_secret_value()))
    while serving.is_alive() and not stop.wait(0.5):
        pass
    server.should_exit = True
    serving.join(_GRACE_S + 3)
    stop.set()
    lanes.end()


def application(routes: GatewayRoutes, token: str, hosts: str) -> ASGIApp:
    """The application; `hosts` are further names under which callers may ask for it, parted by commas."""
    allowed = [*_LOOPBACK, *(name.strip() for name in hosts.split(",") if name.strip())]
    return Starlette(
        routes=routes.routes(),
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=allowed), Middleware(Guard, token=token)],
    )
