"""The range reader of the Kafka bus, with a client that counts how long it was made to wait."""

import pytest
from confluent_kafka import KafkaError, TopicPartition

from freshet.runtime.bus.kafka import ranges
from freshet.runtime.bus.kafka.ranges import KafkaRangeReader
from freshet.runtime.bus.protocol import Place


class Told:
    """A record, or the end of the partition."""

    def __init__(self, offset: int, error: KafkaError | None = None) -> None:
        self._offset, self._error = offset, error

    def offset(self) -> int:
        """Where it stands."""
        return self._offset

    def error(self) -> KafkaError | None:
        """None for a record."""
        return self._error


class Client:
    """Has every third offset of a partition: the others are markers. Like the real one, it waits until it has given as
    many as it was asked for.
    """

    def __init__(self, _: object) -> None:
        self.waited_s = 0.0
        self.assigned: list[TopicPartition] = []
        self._left: list[Told] = []

    def assign(self, places: list[TopicPartition]) -> None:
        """From there on up to the end at 30."""
        self.assigned = places
        there = range(places[0].offset, 30)
        self._left = [Told(offset) for offset in there if not offset % 3]
        self._left.append(Told(30, KafkaError(KafkaError._PARTITION_EOF)))

    def unassign(self) -> None:
        """Fetches nothing more."""
        self.assigned = []

    def poll(self, timeout_s: float) -> Told | None:
        """The next one."""
        return next(iter(self.consume(1, timeout_s)), None)

    def consume(self, limit: int, timeout_s: float) -> list[Told]:
        """So many, or what there is after that time."""
        some, self._left = self._left[:limit], self._left[limit:]
        self.waited_s += timeout_s if len(some) < limit else 0.0
        return some


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    """The client of every reader."""
    made = Client(None)
    monkeypatch.setattr(ranges, "Consumer", lambda _: made)
    return made


@pytest.mark.parametrize(("first", "end", "reached"), [(0, 12, 12), (6, 30, 30), (24, 60, 30)])
def test_a_read_waits_for_nothing_but_what_is_there(client: Client, first: int, end: int, reached: int) -> None:
    """Markers in the range, or the partition's end, cost no time; and nothing is fetched behind it."""
    reader = KafkaRangeReader({}, {"features": "t"})
    found, done = reader.read(Place("features", 0), first, end)
    assert [record.offset() for record in found] == list(range(first, min(end, 30), 3))
    assert done == reached
    assert client.waited_s == 0.0
    assert client.assigned == []
