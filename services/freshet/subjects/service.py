"""The schema registry facade as a service: `freshet run subjects`. It only reads one topic; several may run."""

import threading
import time
from typing import Final

import structlog

from freshet.contracts.errors import FreshetError
from freshet.contracts.topic_table import TopicNames
from freshet.operate.schema_server import SchemaServer
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.http import HealthPages, stuck
from freshet.runtime.metrics.of_services import READY
from freshet.runtime.publishing import published_schemas
from freshet.runtime.service import EdgeService
from freshet.runtime.settings import Settings
from freshet.runtime.telemetry import Metrics

NAME: Final = "subjects"
PORT: Final = 8081
"""Where clients look for a schema registry, unless told otherwise."""
_LOOK_S: Final = 3.0


def _run(settings: Settings, stop: threading.Event) -> int:
    """Serve until `stop` is set. Kafka may be away: known ids are answered all the same, and it is not ready."""
    log, metrics = structlog.get_logger(NAME), Metrics((READY,))
    metrics.tell_of_the_process()
    state = _State()
    metrics[READY].labels(NAME, "").set_function(lambda: 0 if state.trouble else 1)
    bus = KafkaBus(settings.bootstrap_servers, TopicNames(settings.namespace), extra=settings.kafka)
    health = HealthPages(
        live=lambda: stuck(state.looked_s), ready=lambda: state.trouble or None, registry=metrics.registry
    )
    port = settings.http_port or PORT
    server = SchemaServer(settings.http_host, port, lambda: published_schemas(bus), health=health)
    threading.Thread(target=server.serve, name="http", daemon=True).start()
    log.info("started", http_port=server.port)
    while not stop.is_set():
        try:
            server.look()
            trouble = ""
        except FreshetError as error:
            trouble = str(error)
            if trouble != state.trouble:
                log.warning("no_answer", error=trouble)
        state.tell(trouble)
        stop.wait(_LOOK_S)
    server.close()
    log.info("stopped")
    return 0


class _State:
    """Why the service is not ready, and when it last looked."""

    def __init__(self) -> None:
        self.trouble = "the schemas topic was not read yet"
        self.looked_s = time.monotonic()

    def tell(self, trouble: str) -> None:
        """It has looked."""
        self.trouble, self.looked_s = trouble, time.monotonic()


SERVICE = EdgeService(name=NAME, run=_run, reads=("schemas",), writes=())
