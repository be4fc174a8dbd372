"""One try: a request on a thread of its own, so that whoever waits for it can do something else, or leave."""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Final

from freshet.webhook.core.hook_target import HookTarget
from freshet.webhook.core.retry_rules import Reply

SILENCE_S: Final = 10.0
"""How long the receiver may be silent."""
TRY_S: Final = 20.0
"""How long a try may take as a whole, also where the receiver sends byte after byte."""


class Posting(threading.Thread):
    """Sends it at once. Redirects are not followed: the body is for nobody else."""

    def __init__(self, target: HookTarget, headers: Mapping[str, str], body: bytes, done: Callable[[], object]) -> None:
        """`done` is called when there is an answer, on this thread."""
        super().__init__(name="posting", daemon=True)
        self._connection = _connection(target)
        self._path, self._headers, self._body, self._done = target.path, headers, body, done
        self._answer: Reply | None = None
        self._ends_s = time.monotonic() + TRY_S
        self.start()

    def answer(self) -> Reply | None:
        """What became of it; None while that is open."""
        if self._answer is None and time.monotonic() > self._ends_s:
            self.leave()
            return Reply(0, f"the request took more than {TRY_S:.0f} s")
        return self._answer

    def leave(self) -> None:
        """Wait for it no more; its thread ends by itself."""
        open_socket = self._connection.sock
        if open_socket is not None:
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        """Send it, and note what came back."""
        try:
            self._connection.request("POST", self._path, self._body, dict(self._headers))
            response = self._connection.getresponse()
            # Its text is not told: many servers repeat the path in it, which is often a secret.
            self._answer = Reply(response.status, retry_after=response.getheader("Retry-After") or "")
        except OSError as error:
            self._answer = Reply(0, str(error) or type(error).__name__)
        except (http.client.HTTPException, ValueError) as error:
            self._answer = Reply(0, type(error).__name__)
        finally:
            self._connection.close()
            self._done()


def _connection(target: HookTarget) -> http.client.HTTPConnection:
    if target.tls:
        return http.client.HTTPSConnection(target.host, target.port, timeout=SILENCE_S, context=_authorities())
    return http.client.HTTPConnection(target.host, target.port, timeout=SILENCE_S)


@cache
def _authorities() -> ssl.SSLContext:
    """Those that the system trusts; read once, since that takes longer than a request."""
    return ssl.create_default_context()
