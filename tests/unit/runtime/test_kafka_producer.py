"""A broker that restarts ends no send: the producer waits, says so once, and goes on."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError
from structlog.testing import capture_logs

from freshet.contracts.topic_table import TopicNames
from freshet.runtime.bus.kafka import KafkaBus, idempotent_producer
from freshet.runtime.bus.kafka.idempotent_producer import KafkaProducer
from freshet.runtime.bus.protocol import RetriableError, Send

SEND = Send("commands", [b"k"] * 3, [b"a", b"b", b"c"])
GIVEN_UP_S = 300.0  # the client's own delivery timeout


class Written:
    """What the client says of a record."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def offset(self) -> int:
        """Where it lies."""
        return self._offset


class Client:
    """A client whose broker is away for so long, on a clock that only its waiting moves."""

    def __init__(self, away_s: float, *, acknowledged: int = 0) -> None:
        self.now_s, self._away_s = 0.0, away_s
        self._early = acknowledged
        self._waiting: list[Callable[[KafkaError | None, Written], None]] = []

    def produce(self, *_: object, on_delivery: Callable[[KafkaError | None, Written], None]) -> None:
        """Take a record."""
        if self._early:
            self._early -= 1
            on_delivery(None, Written(0))
            return
        self._waiting.append(on_delivery)

    def flush(self, timeout_s: float) -> int:
        """Wait; deliver what waits if the broker is back, give it up when its time is over."""
        self.now_s += timeout_s
        if self.now_s >= min(self._away_s, GIVEN_UP_S):
            error = KafkaError(KafkaError._MSG_TIMED_OUT) if self.now_s < self._away_s else None
            for row, told in enumerate(self._waiting):
                told(error, Written(row))
            self._waiting.clear()
        return len(self._waiting)


def sent(client: Client, monkeypatch: pytest.MonkeyPatch) -> tuple[list[int], list[Any]]:
    """Offsets of a send by that client, and what was logged."""
    with monkeypatch.context() as patch:
        patch.setattr(idempotent_producer, "Producer", lambda _: client)
        patch.setattr(time, "monotonic", lambda: client.now_s)
        with capture_logs() as lines:
            offsets = KafkaProducer({}, lambda role: f"dev.{role}").send(SEND)
    return offsets, lines


def test_a_broker_that_is_away_for_minutes_ends_no_send(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says what is waited for; then it goes on as if nothing had been."""
    offsets, lines = sent(Client(away_s=120.0), monkeypatch)
    assert offsets == [0, 1, 2]
    assert [(line["event"], line["topic"], line["records"]) for line in lines] == [
        ("waiting_for_kafka", "dev.commands", 3)
    ]


def test_a_deadline_holds_also_while_nobody_can_say_whether_the_topic_is_there() -> None:
    """The producer asks that while it waits, of a broker that is away, too; whoever gave the deadline waits for it."""
    producer = KafkaBus("127.0.0.1:1", TopicNames("", "loans")).producer()
    began_s = time.monotonic()
    with pytest.raises(RetriableError, match="0 of 3 records were acknowledged in time"):
        producer.send(SEND, 2.5)
    assert time.monotonic() - began_s < 10
    producer.close()


def test_a_send_that_is_only_slow_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of leaders takes a second or two."""
    assert sent(Client(away_s=2.0), monkeypatch) == ([0, 1, 2], [])


def test_a_broker_that_stays_away_ends_the_send_with_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing hangs; how much of this send is on the topic is a part of the sentence."""
    with pytest.raises(RetriableError, match=r"dev\.commands: 1 of 3 records were acknowledged"):
        sent(Client(away_s=1e9, acknowledged=1), monkeypatch)


def test_who_has_little_time_is_told_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives up after the seconds that it is given, not after the minutes that a service has."""
    client = Client(away_s=1e9)
    monkeypatch.setattr(idempotent_producer, "Producer", lambda _: client)
    monkeypatch.setattr(time, "monotonic", lambda: client.now_s)
    with pytest.raises(RetriableError, match="0 of 3 records were acknowledged"):
        KafkaProducer({}, lambda role: role).send(SEND, 4.0)
    assert client.now_s == 4.0
