"""The log reader of the Kafka bus, with a client that answers what a test wants."""

from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError

from freshet.runtime.bus.kafka.kafka_reader import KafkaLogReader
from freshet.runtime.bus.protocol import Place, RetriableError, Span


class Told:
    """A message, or an error, of partition 0."""

    def __init__(self, offset: int, error: KafkaError | None = None) -> None:
        self._offset, self._error = offset, error

    def topic(self) -> str:
        """Always the same."""
        return "t"

    def partition(self) -> int:
        """Always the same."""
        return 0

    def offset(self) -> int:
        """Where it stands."""
        return self._offset

    def error(self) -> KafkaError | None:
        """None for a record."""
        return self._error


class Client:
    """Hands out all it has in one fetch."""

    def __init__(self, *messages: Told) -> None:
        self._messages = list(messages)

    def poll(self, timeout_s: float) -> Told | None:
        """The first."""
        return self._messages.pop(0) if self._messages else None

    def consume(self, limit: int, timeout_s: float) -> list[Told]:
        """The others."""
        some, self._messages = self._messages[:limit], self._messages[limit:]
        return some


@pytest.fixture
def reader() -> Iterator[KafkaLogReader]:
    """A reader of one partition with three records; its real client never finds a broker."""
    made = KafkaLogReader(
        {"bootstrap.servers": "127.0.0.1:1", "group.id": "g"}, {"rollouts": "t"}, None, lambda _: {0: Span(0, 3, 3)}
    )
    client = made._consumer
    yield made
    client.close()


def test_records_around_an_error_are_not_lost(reader: KafkaLogReader) -> None:
    """A restarting broker answers a fetch with an error between records: all are returned, then it is raised."""
    unknown = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
    client: Any = Client(Told(0), Told(0, unknown), Told(1), Told(2))
    reader._consumer = client
    offsets = [record.offset() for batch in reader.read(100, 0.0) for record in batch.records]
    assert offsets == [0, 1, 2]
    with pytest.raises(RetriableError):
        reader.read(100, 0.0)
    assert reader.read(100, 0.0) == []
    assert reader.caught_up()
    assert reader._reached == {Place("rollouts", 0): 3}
