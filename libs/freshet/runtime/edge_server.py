"""Serves an application over HTTP on a thread of its own, until the process is told to stop."""

import threading
from collections.abc import Mapping
from typing import Any

import structlog
import uvicorn

from freshet.runtime.edge_connection import EdgeConnection
from freshet.runtime.settings import Settings, SettingsError


def serve_until(
    stop: threading.Event,
    application: Any,
    settings: Settings,
    port: int,
    *,
    grace_s: int,
    options: Mapping[str, Any],
    told: Mapping[str, object],
) -> None:
    """Serve until `stop` is set, or serving ends by itself; then `stop` is set. Requests get `grace_s` to end.

    `port` where the settings name none, `options` are further ones of uvicorn, and `told` goes into the log line of the
    start. Raises SettingsError, with `stop` set, if the address cannot be had.
    """
    port = settings.http_port or port
    config = uvicorn.Config(
        application,
        host=settings.http_host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        http=EdgeConnection,
        timeout_graceful_shutdown=grace_s,
        **options,
    )
    server = uvicorn.Server(config)
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
    structlog.get_logger("serving").info("serving", address=f"http://{settings.http_host}:{port}/", **told)
    while serving.is_alive() and not stop.wait(0.5):
        pass
    server.should_exit = True
    serving.join(grace_s + 3)
    stop.set()
