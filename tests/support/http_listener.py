"""A server of HTTP on loopback, for stand-ins of what Freshet speaks to."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from freshet.operate.broker_record import LOOPBACK


class QuietHandler(BaseHTTPRequestHandler):
    """Writes nothing to the test's stderr."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Not told."""


class HttpListener:
    """Listens inside its `with`, a thread for each request; may be opened again."""

    port = 0
    """Where it listens; 0: wherever there is room, which `port` tells inside the `with`."""

    def handler(self) -> type[QuietHandler]:
        """What answers."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer((LOOPBACK, self.port), self.handler())
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
