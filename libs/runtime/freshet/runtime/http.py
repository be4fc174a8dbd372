"""Liveness, readiness and metrics over HTTP, on a thread of their own."""

import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app

from freshet.contracts.errors import FreshetError

Check = Callable[[], str | None]
"""Returns why the answer is no, or None."""


class ThreadingServer(ThreadingMixIn, WSGIServer):
    """A thread for each request, none of which keeps the process alive."""

    daemon_threads = True


class QuietHandler(WSGIRequestHandler):
    """Logs no request."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
        """Probes come every few seconds: not worth a line each."""


class HealthServer:
    """Serves /live, /ready and /metrics. Liveness never asks the broker: an outage must not restart the fleet."""

    def __init__(self, host: str, port: int, *, live: Check, ready: Check, registry: CollectorRegistry) -> None:
        """Listens at once; `port` then holds the real number. Raises FreshetError if the address cannot be had."""
        self._checks = {"/live": live, "/ready": ready}
        self._metrics = make_wsgi_app(registry)
        try:
            self._server = make_server(host, port, self._answer, ThreadingServer, QuietHandler)
        except OSError as error:
            raise FreshetError(
                f"cannot listen on {host}:{port}: {error.strerror}. Set FRESHET_HTTP_HOST and FRESHET_HTTP_PORT to an "
                "address of this machine that is free; port 0 takes any."
            ) from error
        self.port: int = self._server.server_port
        threading.Thread(target=self._server.serve_forever, name="http", daemon=True).start()

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            body: Iterable[bytes] = self._metrics(environ, start_response)
            return body
        check = self._checks.get(path)
        if check is None:
            return _text(start_response, "404 Not Found", "try /live, /ready or /metrics")
        problem = check()
        return _text(start_response, "200 OK" if problem is None else "503 Service Unavailable", problem or "yes")

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def _text(start_response: StartResponse, status: str, text: str) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [text.encode() + b"\n"]
