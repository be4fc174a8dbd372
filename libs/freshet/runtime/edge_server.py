"""Serves an application over HTTP on a thread of its own, until the process is told to stop."""

import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog
import uvicorn

from freshet.runtime.descriptors import room_for
from freshet.runtime.edge_connection import SPARE, EdgeConnection
from freshet.runtime.settings import Settings, SettingsError

_ACCEPTED_AT_ONCE: Final = 128
"""Connections that are accepted before those that came earlier are counted."""


def serve_until(
    stop: threading.Event,
    application: Any,
    settings: Settings,
    port: int,
    *,
    grace_s: int,
    connections: int,
    options: Mapping[str, Any],
    told: Mapping[str, object],
    ending: Callable[[], object] = lambda: None,
) -> None:
    """Serve until `stop` is set, or serving ends by itself; then `stop` is set. Requests get `grace_s` to end.

    `port` where the settings name none, `connections` is how many are held, if the system allows so many, `options` are
    further ones of uvicorn, and `told` goes into the log line of the start. `ending` is called when requests should
    end, and before they have to. Raises SettingsError, with `stop` set, if the address cannot be had.
    """
    port, most = settings.http_port or port, room_for(connections)
    config = uvicorn.Config(
        application,
        host=settings.http_host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        http=EdgeConnection,
        timeout_graceful_shutdown=grace_s,
        limit_concurrency=most + SPARE,
        backlog=_ACCEPTED_AT_ONCE,
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
    log = structlog.get_logger("serving")
    log.info("serving", address=f"http://{settings.http_host}:{port}/", connections=most, **told)
    if most < connections:
        log.warning("few_descriptors", connections=most, wanted=connections, advice="raise the limit of open files")
    while serving.is_alive() and not stop.wait(0.5):
        pass
    ending()
    server.should_exit = True
    serving.join(grace_s + 3)
    stop.set()
