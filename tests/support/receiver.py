"""A receiver of webhooks on loopback: notes what it gets, and answers as a test tells it to."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from freshet.lab.ports import free_port
from support.http_listener import HttpListener, QuietHandler


@dataclass(frozen=True, slots=True)
class Got:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> Any:
        """Its JSON."""
        return json.loads(self.body)


class Receiver(HttpListener):
    """Listens inside its `with`; may be opened again at the same port. `answer` gives a status and headers."""

    def __init__(self, answer: Callable[[Got], tuple[int, dict[str, str]]] = lambda _: (204, {})) -> None:
        self.answer = answer
        self.got: list[Got] = []
        self.port = free_port()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/hooks/freshet?from=test"

    def handler(self) -> type[QuietHandler]:
        """Notes each request, and answers."""
        outer = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:  # noqa: N802 (the name that http.server calls)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                got = Got(self.path, dict(self.headers.items()), body)
                outer.got.append(got)
                status, headers = outer.answer(got)
                self.send_response(status)
                for name, value in {"Content-Length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

        return Handler
