"""What the Kafka client repeats several times a second is told once, and again every 30 s."""

import logging

import pytest

from freshet.runtime.bus.kafka.client_log import NAME, Repeats, client_log
from freshet.runtime.bus.kafka.config import common

REFUSED = (
    "FAIL [rdkafka#producer-{client}] [thrd:sasl_plaintext://127.0.0.1:9092/bootstrap]: "
    "sasl_plaintext://127.0.0.1:9092/bootstrap: SASL authentication error: Authentication failed "
    "(after {ms}ms in state AUTH_REQ, {count} identical error(s) suppressed)"
)
AWAY = "FAIL [rdkafka#consumer-1] [thrd:127.0.0.1:9092/1]: 127.0.0.1:9092/1: Connect failed: Connection refused"


def passes(repeats: Repeats, message: str, at_s: float) -> bool:
    """Whether the line is logged at that time."""
    record = logging.LogRecord(NAME, logging.ERROR, "", 0, message, (), None)
    record.created = at_s
    return repeats.filter(record)


def test_a_wrong_password_is_told_once_and_then_every_thirty_seconds() -> None:
    """Of however many clients, and whatever the attempts took; another line is told at once."""
    repeats = Repeats()
    told = [
        at_ms
        for at_ms in range(0, 65_000, 300)
        if passes(repeats, REFUSED.format(client=at_ms % 3, ms=at_ms % 700, count=at_ms % 9), 1000 + at_ms / 1000)
    ]
    assert told == [0, 30_000, 60_000]
    assert passes(repeats, AWAY, 1061.0)
    assert not passes(repeats, AWAY, 1062.0)


def test_it_remembers_a_bounded_number_of_lines() -> None:
    """However many different ones there are."""
    repeats = Repeats()
    assert all(passes(repeats, f"line {'x' * number}", 1.0) for number in range(1_000))
    assert not passes(repeats, f"line {'x' * 999}", 2.0)
    assert passes(repeats, "line ", 2.0)


def test_all_clients_log_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no line goes through two of them."""
    monkeypatch.setattr(logging.getLogger(NAME), "filters", [])
    assert common("k:9092", {})["logger"] is client_log() is common("k:9092", {})["logger"]
    assert [type(one) for one in client_log().filters] == [Repeats]
