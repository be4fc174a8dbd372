"""What a stranger's sockets may do to the gateway's and the console's server."""

import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from freshet.lab.ports import free_port
from freshet.runtime.edge_server import serve_until
from freshet.runtime.settings import load_settings

MOST = 20
"""Connections that the server holds."""
MUCH = 2 << 20


async def refuse(scope: Any, receive: Any, send: Any) -> None:
    """Answers without having read the body, as whoever misses a token does; at /much with more than sockets hold."""
    body = bytes(MUCH) if scope["path"] == "/much" else b"no"
    await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def port() -> Iterator[int]:
    """A server's port, with `refuse` behind it."""
    stop, found = threading.Event(), free_port()
    settings = load_settings("127.0.0.1:1", http_port=found)
    thread = threading.Thread(
        target=serve_until,
        args=(stop, refuse, settings, found),
        kwargs={"grace_s": 1, "connections": MOST, "options": {"lifespan": "off"}, "told": {}},
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


def is_open(said: socket.socket) -> bool:
    """Whether the other side has not closed it."""
    said.setblocking(False)
    try:
        return said.recv(1000) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def test_whoever_says_nothing_makes_room_for_whoever_asks(port: int) -> None:
    """More connections than the server holds: those that waited longest for a first word are closed."""
    silent = [talk(port) for _ in range(4 * MOST)]
    with talk(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") as asking:
        assert asking.recv(1000).startswith(b"HTTP/1.1 401")
    assert sum(map(is_open, silent)) <= MOST
    for one in silent:
        one.close()


def narrow(port: int, bytes_held: int = 2048) -> socket.socket:
    """A connection that was asked for much, and holds little that is not read."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, bytes_held)
    made.connect(("127.0.0.1", port))
    made.settimeout(20)
    made.sendall(b"GET /much HTTP/1.1\r\nHost: a\r\n\r\n")
    return made


@pytest.mark.parametrize("last", [b"", b"no HTTP\r\n\r\n"])
def test_whoever_takes_no_answer_is_left(port: int, last: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts against the limit as long as it is open; also where it was closed, but for what it has to take."""
    monkeypatch.setattr("freshet.runtime.edge_connection.TAKE_S", 0.5)
    with narrow(port) as deaf:
        deaf.sendall(last)
        broken, deadline = select.poll(), time.monotonic() + 20
        broken.register(deaf, select.POLLERR)
        while not broken.poll(200):
            assert time.monotonic() < deadline, "it is held"


def test_a_slow_caller_gets_its_whole_answer(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """It takes enough each time that it is looked."""
    monkeypatch.setattr("freshet.runtime.edge_connection.TAKE_S", 0.5)
    pause, taken = threading.Event(), 0
    with narrow(port, 100_000) as slow:
        while taken < MUCH:
            got = len(slow.recv(50_000))
            assert got, f"it was left after {taken:,} bytes"
            taken += got
            pause.wait(0.03)
