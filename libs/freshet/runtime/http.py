"""Liveness, readiness and metrics over HTTP, on a thread of their own; and the server that any HTTP answer needs."""

import math
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app

from freshet.contracts.errors import FreshetError

Check = Callable[[], str | None]
"""Returns why the answer is no, or None."""

CONNECTIONS: Final = 64
"""How many a server holds at a time; one more, and the oldest is closed."""
STUCK_S: Final = 120.0
"""Twice `max.poll.interval.ms`: by then the group has given our partitions away."""


def stuck(*beats_s: float) -> str | None:
    """What /live says of loops that last turned at these times of `time.monotonic`: None while all of them turn."""
    silent_s = time.monotonic() - min(beats_s, default=math.inf)
    return f"the loop has not turned for {silent_s:.0f} s" if silent_s > STUCK_S else None


class WebServer:
    """Answers requests at an address, each on a thread of its own; these threads do not keep the process alive."""

    def __init__(self, host: str, port: int, answer: WSGIApplication, advice: str) -> None:
        """Listens at once; `port` then holds the real number. Raises FreshetError if the address cannot be had.

        `advice` says which settings name another address.
        """
        try:
            self._server = make_server(host, port, answer, _ThreadingServer, _QuietHandler)
        except OSError as error:
            raise FreshetError(f"cannot listen on {host}:{port}: {error.strerror}. {advice}") from error
        self.port: int = self._server.server_port

    def serve(self) -> None:
        """Answer requests; returns after `close`."""
        self._server.serve_forever()

    def close(self) -> None:
        """Stop serving and listening."""
        self._server.shutdown()
        self._server.server_close()


class HealthPages:
    """/live, /ready and /metrics. Liveness never asks the broker: an outage must not restart the fleet."""

    def __init__(self, *, live: Check, ready: Check, registry: CollectorRegistry) -> None:
        self._checks = {"/live": live, "/ready": ready}
        self._metrics = make_wsgi_app(registry)

    def has(self, path: str) -> bool:
        """Whether this is one of them."""
        return path == "/metrics" or path in self._checks

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            try:
                body: Iterable[bytes] = self._metrics(environ, start_response)
            except (TypeError, ValueError):  # an Accept that prometheus_client cannot read, such as version=abc
                body = self._metrics({**environ, "HTTP_ACCEPT": ""}, start_response)
            return body
        check = self._checks.get(path)
        if check is None:
            return _text(start_response, "404 Not Found", "try /live, /ready or /metrics")
        problem = check()
        return _text(start_response, "200 OK" if problem is None else "503 Service Unavailable", problem or "yes")


class HealthServer(WebServer):
    """Serves `HealthPages` and nothing else."""

    def __init__(self, host: str, port: int, *, live: Check, ready: Check, registry: CollectorRegistry) -> None:
        """See `WebServer`; serves at once."""
        advice = (
            "Set FRESHET_HTTP_HOST and FRESHET_HTTP_PORT to an address of this machine that is free; port 0 takes any."
        )
        super().__init__(host, port, HealthPages(live=live, ready=ready, registry=registry), advice)
        threading.Thread(target=self.serve, name="http", daemon=True).start()


class _ThreadingServer(ThreadingMixIn, WSGIServer):
    """Holds at most `CONNECTIONS`: whoever sends slowly, from however many sockets, takes no more threads than that."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._held: dict[socket.socket, None] = {}  # the oldest first
        self._lock = threading.Lock()
        super().__init__(*arguments, **options)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give it a thread; the oldest connection makes room if need be, as a request is answered in milliseconds."""
        with self._lock:
            if len(self._held) >= CONNECTIONS:
                oldest = next(iter(self._held))
                del self._held[oldest]
                with suppress(OSError):  # it has just gone by itself
                    oldest.shutdown(socket.SHUT_RDWR)  # its thread reads the end, and closes it
            self._held[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """It is answered, or was left."""
        with self._lock:
            self._held.pop(request, None)
        super().shutdown_request(request)


class _QuietHandler(WSGIRequestHandler):
    timeout = 10  # a connection that sends nothing would keep its thread for ever

    def handle(self) -> None:
        """Answer a request, or leave whoever sends none, or goes away meanwhile."""
        with suppress(TimeoutError, ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
        """Probes come every few seconds: not worth a line each."""


def _text(start_response: StartResponse, status: str, text: str) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [text.encode() + b"\n"]
