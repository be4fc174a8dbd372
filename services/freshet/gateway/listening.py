"""Runs the gateway: one thread that answers requests, one that follows what is published, two for each pipeline."""

import threading
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from freshet.contracts.topic_table import TopicNames
from freshet.gateway.caller_guard import Guard
from freshet.gateway.core.limits import REQUESTS_IN_FLIGHT, TAILS, Room
from freshet.gateway.gateway_routes import NAME, GatewayRoutes
from freshet.gateway.gateway_settings import PORT, GatewaySettings
from freshet.gateway.lanes import Lanes, Published
from freshet.runtime.asked_names import AskedNames
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.edge_server import serve_until
from freshet.runtime.metrics.of_gateway import OF_THE_GATEWAY
from freshet.runtime.metrics.of_services import BYTES_PRODUCED, READY, RECORDS_PRODUCED
from freshet.runtime.settings import Settings
from freshet.runtime.telemetry import Metrics

SHOWN: Final = (*OF_THE_GATEWAY, RECORDS_PRODUCED, BYTES_PRODUCED, READY)
"""The metrics that it counts and sets."""
_GRACE_S: Final = 25
"""Longer than a request may wait for its turn, and Kafka then take to acknowledge: whoever was admitted gets an answer
before the gateway ends.
"""
_OTHER_REQUESTS: Final = 500
_FRAME_BYTES: Final = 4_096
"""Of what a reader of a tail says, which is ignored."""
_OPTIONS: Final = {"ws_max_size": _FRAME_BYTES}
_CONNECTIONS: Final = REQUESTS_IN_FLIGHT + TAILS + _OTHER_REQUESTS


def listen(settings: Settings, stop: threading.Event) -> None:
    """Serve until `stop` is set. Raises SettingsError if the address cannot be had. Kafka may be away."""
    own = GatewaySettings.load(settings.http_host)
    metrics = Metrics(SHOWN)
    metrics.tell_of_the_process()
    bus = KafkaBus(settings.bootstrap_servers, TopicNames(settings.namespace, ""), extra=settings.kafka)
    published = Published(bus, stop)
    metrics[READY].labels(NAME, "").set_function(lambda: 0 if published.trouble else 1)
    lanes = Lanes(bus, settings.namespace, published)
    token = own.token.get_secret_value()
    routes = GatewayRoutes(lanes, metrics, Room())
    made = application(routes, token, own.hosts)
    published.start()
    serve_until(
        stop,
        made,
        settings,
        PORT,
        grace_s=_GRACE_S,
        connections=_CONNECTIONS,
        options=_OPTIONS,
        told={"token": bool(token)},
        ending=routes.wait_no_more,
    )
    lanes.end()


def application(routes: GatewayRoutes, token: str, hosts: str) -> ASGIApp:
    """The application; `hosts` are further names under which callers may ask for it, parted by commas."""
    return Starlette(
        routes=routes.routes(),
        middleware=[
            Middleware(AskedNames, hosts=hosts),
            Middleware(Guard, token=token),
        ],
    )
