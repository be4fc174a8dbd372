"""What a process answers to probes and to Prometheus."""

import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from prometheus_client import CollectorRegistry, Counter

from freshet.contracts.errors import FreshetError
from freshet.runtime import http
from freshet.runtime.http import STUCK_S, HealthServer, stuck


class Health:
    """A server whose answers the test sets."""

    def __init__(self) -> None:
        self.live: str | None = None
        self.ready: str | None = None
        registry = CollectorRegistry()
        Counter("freshet_events_total", "Events.", registry=registry).inc(3)
        self.server = HealthServer("127.0.0.1", 0, live=lambda: self.live, ready=lambda: self.ready, registry=registry)

    def get(self, path: str) -> tuple[int, str]:
        """Status and text."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.server.port}{path}", timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@pytest.fixture
def health() -> Iterator[Health]:
    """A server on a free port."""
    served = Health()
    yield served
    served.server.close()


def test_probes_say_yes_or_why_not(health: Health) -> None:
    """200 while there is nothing to say, 503 with the reason otherwise; the two do not mix."""
    assert health.get("/live") == (200, "yes\n")
    assert health.get("/ready") == (200, "yes\n")
    health.ready = "reading control topics"
    assert health.get("/ready") == (503, "reading control topics\n")
    assert health.get("/live") == (200, "yes\n")
    health.ready, health.live = None, "the loop has not turned for 200 s"
    assert health.get("/live") == (503, "the loop has not turned for 200 s\n")


def test_metrics_are_served_as_prometheus_reads_them(health: Health) -> None:
    """Only this process's own registry, in the text format."""
    status, text = health.get("/metrics")
    assert status == 200
    assert "# HELP freshet_events_total Events." in text
    assert "freshet_events_total 3.0" in text


def test_another_path_is_not_found(health: Health) -> None:
    """The answer names what there is."""
    status, text = health.get("/metricz")
    assert status == 404
    assert "/metrics" in text


def test_a_taken_port_is_told_in_a_sentence(health: Health) -> None:
    """Two processes configured alike: the second says which variable to change."""
    with pytest.raises(FreshetError, match="FRESHET_HTTP_PORT"):
        HealthServer("127.0.0.1", health.server.port, live=str, ready=str, registry=CollectorRegistry())


def test_a_connection_that_sends_nothing_keeps_no_thread(health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody can open one, and forget it."""
    monkeypatch.setattr(http._QuietHandler, "timeout", 0.1)
    with socket.create_connection(("127.0.0.1", health.server.port), timeout=30) as idle:
        assert idle.recv(1) == b""
    assert health.get("/live")[0] == 200


def test_an_accept_header_of_rubbish_gets_plain_text(health: Health, capfd: pytest.CaptureFixture[str]) -> None:
    """Any caller may send one: no error of ours, and no traceback in the log."""
    accept = {"Accept": "application/openmetrics-text; version=abc"}
    asked = urllib.request.Request(f"http://127.0.0.1:{health.server.port}/metrics", headers=accept)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        assert "freshet_events_total 3.0" in answer.read().decode()
    assert capfd.readouterr().err == ""


def test_many_slow_connections_take_a_bounded_number_of_threads_and_hide_nothing(
    health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest are closed for new ones, so that a probe is answered meanwhile."""
    most = 8
    monkeypatch.setattr(http, "CONNECTIONS", most, raising=False)
    with ExitStack() as open_ones:
        threads = threading.active_count()
        slow = [
            open_ones.enter_context(socket.create_connection(("127.0.0.1", health.server.port), timeout=30))
            for _ in range(most + 20)
        ]
        for one in slow:
            with suppress(ConnectionError):
                one.sendall(b"GET /li")
        assert slow[0].recv(1) == b""
        assert health.get("/live") == (200, "yes\n")
        assert threading.active_count() <= threads + most + 2  # whoever was just closed may still be leaving


def test_whoever_resets_a_connection_leaves_no_traceback(health: Health, capfd: pytest.CaptureFixture[str]) -> None:
    """Scanners and balancers do, all day long."""
    rude = socket.create_connection(("127.0.0.1", health.server.port), timeout=30)
    rude.sendall(b"GET /li")
    rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    rude.close()
    assert health.get("/live")[0] == 200
    time.sleep(0.2)
    assert capfd.readouterr().err == ""


def test_liveness_is_that_of_the_loop_which_turned_longest_ago() -> None:
    """One that hangs is enough; without any loop there is nothing that could hang."""
    now_s = time.monotonic()
    assert stuck() is None
    assert stuck(now_s, now_s - STUCK_S + 10) is None
    assert stuck(now_s, now_s - 2 * STUCK_S) == "the loop has not turned for 240 s"
