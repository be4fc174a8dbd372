"""One service as a real process, for tests that look at it from outside."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")

_PATIENCE_S = 60.0
_BYTES = 65_536


class Process:
    """`freshet run …`, with its log; it is killed when the context is left."""

    def __init__(
        self, bootstrap_servers: str, namespace: str, log: Path, *arguments: str, kafka: Mapping[str, str] | None = None
    ) -> None:
        """`kafka`: further client settings, such as a user and its password."""
        self._log = log
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "FRESHET_NAMESPACE": namespace,
            "FRESHET_KAFKA": json.dumps(dict(kafka or {})),
        }
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "freshet.cli", "run", *arguments],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def lines(self) -> list[dict[str, Any]]:
        """All lines of its log."""
        lines = self._log.read_text().rpartition("\n")[0].splitlines()  # the last one may be half written
        return list(map(json.loads, lines))

    def log(self, event: str) -> list[dict[str, Any]]:
        """All lines of its log that report this event."""
        return [line for line in self.lines() if line["event"] == event]

    def logged(self, event: str) -> dict[str, Any]:
        """The first such line, waited for."""
        return until(lambda: next(iter(self.log(event)), None), f"{event!r} in {self._log}")

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of its answer over HTTP."""
        try:
            address = f"http://127.0.0.1:{self.logged('started')['http_port']}{path}"
            with urllib.request.urlopen(address, timeout=_PATIENCE_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def terminate(self) -> int:
        """SIGTERM; the exit code, once it has ended."""
        self._process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        """The exit code, waited for."""
        return self._process.wait(_PATIENCE_S)


def until(found: Callable[[], T | None], what: str) -> T:
    """What `found` finds, once it finds something."""
    deadline = time.monotonic() + _PATIENCE_S
    while not (result := found()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)
    return result


def free_port() -> int:
    """A port of the loopback interface where nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def forward(port: int, target: str) -> socket.socket:
    """Pass connections to the port on to `host:port`, from now until the socket that is returned is closed."""
    host, _, target_port = target.partition(",")[0].rpartition(":")
    server = socket.create_server(("127.0.0.1", port))

    def accept() -> None:
        with suppress(OSError):
            while True:
                near, _ = server.accept()
                far = socket.create_connection((host, int(target_port)))
                threading.Thread(target=_copy, args=(near, far), daemon=True).start()
                threading.Thread(target=_copy, args=(far, near), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return server


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError), source, target:
        while data := source.recv(_BYTES):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
