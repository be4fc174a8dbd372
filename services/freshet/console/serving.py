"""Runs the console: one thread that reads Kafka, one that answers requests."""

import threading
from typing import Final

import structlog
import uvicorn

from freshet.console.access import Access
from freshet.console.console_settings import PORT, console_settings, is_loopback
from freshet.console.site_parts import SiteParts
from freshet.console.watching import Watching
from freshet.console.web import application
from freshet.operate.connection import Connection
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.settings import Settings, SettingsError

_KAFKA_S: Final = 2.0
"""How long one question to Kafka may take: a page says after a few seconds that nobody answers."""
_GRACE_S: Final = 2


def serve(settings: Settings, stop: threading.Event) -> None:
    """Serve until `stop` is set. Raises SettingsError if the address cannot be had. Kafka may be away."""
    own, log = console_settings(settings.http_host), structlog.get_logger("console")
    admin = KafkaAdmin(settings.bootstrap_servers, extra=settings.kafka, timeout_s=_KAFKA_S)
    connection = Connection(settings.bootstrap_servers, settings.namespace, settings.kafka, admin)
    access = Access(own.token.get_secret_value(), closed=not is_loopback(settings.http_host))
    watching = Watching(connection, stop)
    port = settings.http_port or PORT
    server = uvicorn.Server(
        uvicorn.Config(
            application(SiteParts(connection, watching, access, stop), own.hosts),
            host=settings.http_host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
    )
    watching.start()
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
    log.info("serving", address=f"http://{settings.http_host}:{port}/", acts=access.possible)
    while serving.is_alive() and not stop.wait(0.5):
        pass
    server.should_exit = True
    serving.join(_GRACE_S + 3)
    stop.set()
    watching.join(_KAFKA_S + 3)
