"""A producer whose transactional id another process has taken over says so, wherever it is told."""

from contextlib import closing
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from freshet.runtime.bus.kafka import kafka_producer
from freshet.runtime.bus.kafka.kafka_producer import KafkaTransactionalProducer
from freshet.runtime.bus.protocol import FencedError, Send, Transaction

FENCED = KafkaException(KafkaError(KafkaError._FENCED, "taken over", True))


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
    config = {"transactional.id": "freshet.inference.p.0", "message.max.bytes": 1 << 20}
    producer = KafkaTransactionalProducer(config, lambda role: role, lambda _: None, reopen=True)
    with closing(producer), pytest.raises(FencedError, match=r"freshet\.inference\.p\.0.*which is fenced"):
        opened_and_committed(producer)
