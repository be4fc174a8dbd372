"""What a stranger's sockets may do to the gateway's and the console's server."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from freshet.lab.ports import free_port
from freshet.runtime.edge_server import serve_until
from freshet.runtime.settings import load_settings


async def refuse(scope: Any, receive: Any, send: Any) -> None:
    """Answers without having read the body, as whoever misses a token does."""
    await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"no"})


@pytest.fixture
def port() -> Iterator[int]:
    """A server's port, with `refuse` behind it."""
    stop, found = threading.Event(), free_port()
    settings = load_settings("127.0.0.1:1", http_port=found)
    thread = threading.Thread(
        target=serve_until,
        args=(stop, refuse, settings, found),
        kwargs={"grace_s": 1, "options": {"lifespan": "off"}, "told": {}},
    )
    thread.start()
    for _ in range(600):
        with socket.socket() as probe:
            probe.settimeout(30)
            if probe.connect_ex(("127.0.0.1", found)) == 0:
                break
        stop.wait(0.05)
    yield found
    stop.set()
    thread.join(30)


def talk(port: int, *pieces: bytes) -> socket.socket:
    """A connection on which this was said."""
    made = socket.create_connection(("127.0.0.1", port), timeout=20)
    for piece in pieces:
        made.sendall(piece)
    return made


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGE"])
def test_half_a_request_is_left(port: int, said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each open connection counts against the limit, so that forgotten ones would shut everybody else out."""
    monkeypatch.setattr("freshet.runtime.edge_connection.HEAD_S", 0.5)
    with talk(port, said) as half:
        while half.recv(1000):
            pass


def test_rubbish_behind_an_answer_ends_the_connection_without_a_traceback(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer came before the body was read; a body that breaks off then gets no second answer."""
    with talk(port, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n") as rude:
        assert rude.recv(1000).startswith(b"HTTP/1.1 401")
        rude.sendall(b"no length\r\n")
        while rude.recv(1000):
            pass
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
