"""Runs the console: one thread that reads Kafka, one that answers requests."""

import threading
from typing import Final

from freshet.console.access import Access
from freshet.console.console_settings import PORT, ConsoleSettings
from freshet.console.site_parts import SiteParts
from freshet.console.watching import Watching
from freshet.console.web import application
from freshet.contracts.addresses import is_loopback
from freshet.operate.connection import Connection
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.edge_server import serve_until
from freshet.runtime.settings import Settings

_KAFKA_S: Final = 2.0
"""How long one question to Kafka may take: a page says after a few seconds that nobody answers."""
_GRACE_S: Final = 2
_CONNECTIONS: Final = 500
"""A browser has six."""


def serve(settings: Settings, stop: threading.Event) -> None:
    """Serve until `stop` is set. Raises SettingsError if the address cannot be had. Kafka may be away."""
    own = ConsoleSettings.load(settings.http_host)
    admin = KafkaAdmin(settings.bootstrap_servers, extra=settings.kafka, timeout_s=_KAFKA_S)
    login = settings.schema_registry.get_secret_value()
    connection = Connection(settings.bootstrap_servers, settings.namespace, settings.kafka, admin, known_login=login)
    access = Access(own.token.get_secret_value(), closed=not is_loopback(settings.http_host))
    watching = Watching(connection, stop)
    made = application(SiteParts(connection, watching, access, stop), own.hosts)
    watching.start()
    told = {"acts": access.possible}
    serve_until(stop, made, settings, PORT, grace_s=_GRACE_S, connections=_CONNECTIONS, options={}, told=told)
    watching.join(_KAFKA_S + 3)
