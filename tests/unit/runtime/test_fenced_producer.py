"""A producer whose transactional id another process has taken over says so, wherever it is told."""

from contextlib import closing
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from freshet.runtime.bus.kafka import kafka_producer
from freshet.runtime.bus.kafka.kafka_producer import KafkaTransactionalProducer
from freshet.runtime.bus.protocol import FatalError, FencedError, RefusedError, Send, Transaction

FENCED = KafkaException(KafkaError(KafkaError._FENCED, "taken over", True))
CONFIG = {"transactional.id": "freshet.inference.p.0", "message.max.bytes": 1 << 20}


class Client:
    """A client that is fenced from this call on; from then on its `poll` raises, too."""

    def __init__(self, at: str) -> None:
        self._at, self._dead = at, False

    def __getattr__(self, name: str) -> Any:
        def call(*_: object) -> None:
            self._dead |= name == self._at
            if self._dead and name in (self._at, "poll"):
                raise FENCED

        return call


def opened_and_committed(producer: KafkaTransactionalProducer) -> None:
    """What a loop does."""
    producer.open()
    producer.commit(Transaction([Send("labels", [b"k"], [b"v"])]))


@pytest.mark.parametrize("at", ["init_transactions", "poll", "begin_transaction", "produce", "commit_transaction"])
def test_the_fenced_one_is_told_in_one_sentence(at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never Kafka's own exception, which would be logged as unexpected."""
    monkeypatch.setattr(kafka_producer, "Producer", lambda _: Client(at))
    producer = KafkaTransactionalProducer(CONFIG, lambda role: role, lambda _: None, reopen=True)
    with closing(producer), pytest.raises(FencedError, match=r"freshet\.inference\.p\.0.*which is fenced"):
        opened_and_committed(producer)


class LostItsBroker:
    """A client whose commit failed with the broker, and whose abort is answered so; the next one is well."""

    def __init__(self, aborting: int) -> None:
        self.opened, self._answers = 0, {"commit_transaction": _TIMED_OUT, "abort_transaction": told(aborting)}

    def __call__(self, _config: object) -> "LostItsBroker":
        self.opened += 1
        if self.opened > 1:
            self._answers.clear()
        return self

    def __getattr__(self, name: str) -> Any:
        def call(*_: object) -> None:
            if answer := self._answers.get(name):
                raise answer

        return call


def told(code: int, *, requires_abort: bool = False) -> KafkaException:
    """As the client says it."""
    return KafkaException(KafkaError(code, "said", False, False, requires_abort))


_TIMED_OUT = told(KafkaError._TIMED_OUT, requires_abort=True)


def test_an_abort_that_fails_with_the_broker_costs_a_new_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a broker dies, librdkafka aborts once more what the coordinator has ended: the process need not end."""
    clients = LostItsBroker(KafkaError.INVALID_TXN_STATE)
    monkeypatch.setattr(kafka_producer, "Producer", clients)
    with closing(KafkaTransactionalProducer(CONFIG, lambda role: role, lambda _: None, reopen=True)) as producer:
        with pytest.raises(RefusedError, match="was aborted"):
            opened_and_committed(producer)
        producer.commit(Transaction([Send("labels", [b"k"], [b"v"])]))
    assert clients.opened == 2


@pytest.mark.parametrize(("code", "reopen"), [(KafkaError.INVALID_TXN_STATE, False), (KafkaError._FENCED, True)])
def test_who_may_not_take_its_id_back_ends_when_an_abort_fails(
    code: int, reopen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An owner that decides from what it has read, and whoever was fenced: another may have the id by now."""
    monkeypatch.setattr(kafka_producer, "Producer", LostItsBroker(code))
    producer = KafkaTransactionalProducer(CONFIG, lambda role: role, lambda _: None, reopen=reopen)
    with closing(producer), pytest.raises(FatalError, match="an abort failed"):
        opened_and_committed(producer)
