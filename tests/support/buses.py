"""The two worlds that one suite of bus tests runs in: the bus in memory, and a real Kafka."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, TypeVar

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from freshet.contracts.batch import Batch, Record
from freshet.contracts.topic_table import TopicNames, topic_table
from freshet.runtime import failpoints
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.kafka.kafka_consumer import KafkaGroupConsumer
from freshet.runtime.bus.kafka.kafka_producer import KafkaTransactionalProducer
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster, SimulatedCrash, Step
from freshet.runtime.bus.memory.memory_consumer import MemoryGroupConsumer
from freshet.runtime.bus.protocol import (
    SUSPECT_S,
    Assignor,
    Bus,
    Collected,
    Committed,
    GroupConsumer,
    Place,
    RetriableError,
    Send,
    Transaction,
    TransactionalProducer,
)
from freshet.runtime.topic_plan import topic_configs

T = TypeVar("T")

_PATIENCE_S: Final = 30.0  # a bound for real brokers; memory answers at once or never
_WAIT_S: Final = 0.1
_STALL_MS: Final = int(SUSPECT_S * 1000) + 100
_NO_LIMIT_BYTES: Final = 2**30


class BusWorld(Protocol):
    """A bus, and what a test may do to the broker behind it."""

    @property
    def bus(self) -> Bus:
        """Makes the clients under test."""

    def make_topics(self, *roles: str, partitions: int = 2) -> None:
        """Create the topics of these roles."""

    def delete_topic(self, role: str) -> None:
        """Delete the role's topic, and wait until it is gone."""

    def truncate(self, place: Place, low: int) -> None:
        """Forget the partition's records below an offset, as retention does."""

    def pass_time(self, elapsed_ms: int) -> None:
        """Let the broker's clock go on by that much at least."""

    def crash(self, producer: TransactionalProducer, transaction: Transaction, at: Step) -> None:
        """Commit as far as this step, then be dead: what a SIGKILL there leaves behind."""

    def commit_slowly(self, producer: TransactionalProducer, transaction: Transaction) -> None:
        """Commit, with a stall in the middle that makes the client suspect."""

    def tear_next_collect(self, consumer: GroupConsumer, cause: Callable[[], object]) -> None:
        """Let `cause` start a rebalance inside the consumer's next collect, which is told of it before it returns."""


class MemoryWorld:
    """Implements BusWorld."""

    def __init__(self) -> None:
        self.cluster = MemoryCluster()
        self.names = TopicNames("test.", "fraud")
        self.bus = MemoryBus(self.cluster, self.names)

    def make_topics(self, *roles: str, partitions: int = 2) -> None:
        """See BusWorld."""
        self.cluster.ensure(self.names, partitions, roles)

    def delete_topic(self, role: str) -> None:
        """See BusWorld."""
        self.cluster.delete_topic(self.names.topic(role))

    def truncate(self, place: Place, low: int) -> None:
        """See BusWorld."""
        self.cluster.truncate(self.names.topic(place.role), place.partition, low)

    def pass_time(self, elapsed_ms: int) -> None:
        """See BusWorld."""
        self.cluster.advance(elapsed_ms)

    def crash(self, producer: TransactionalProducer, transaction: Transaction, at: Step) -> None:
        """See BusWorld."""

        def strike(step: Step, _transactional_id: str) -> None:
            if step == at:
                raise SimulatedCrash

        self.cluster.failpoint = strike
        with pytest.raises(SimulatedCrash):
            producer.commit(transaction)
        self.cluster.failpoint = None

    def commit_slowly(self, producer: TransactionalProducer, transaction: Transaction) -> None:
        """See BusWorld."""

        def stall(step: Step, _transactional_id: str) -> None:
            if step == "produced":
                self.cluster.advance(_STALL_MS)

        self.cluster.failpoint = stall
        producer.commit(transaction)
        self.cluster.failpoint = None

    def tear_next_collect(self, consumer: GroupConsumer, cause: Callable[[], object]) -> None:
        """See BusWorld."""
        assert isinstance(consumer, MemoryGroupConsumer)
        self.cluster.rebalance_during_next_collect(consumer.member, cause)


class KafkaWorld:
    """Implements BusWorld."""

    def __init__(self, bootstrap_servers: str, namespace: str, pipeline: str = "fraud") -> None:
        self.names = TopicNames(namespace, pipeline)
        self.bus = _ClosingBus(bootstrap_servers, self.names)
        self._topics = KafkaAdmin(bootstrap_servers)
        self._created: set[str] = set()
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers})

    def make_topics(self, *roles: str, partitions: int = 2) -> None:
        """See BusWorld."""
        for role in roles:
            stanza = topic_table()[role]
            count = partitions if stanza.partitions == "pipeline" else stanza.partitions
            self._topics.create(self.names.topic(role), count, topic_configs(stanza))
            self._created.add(self.names.topic(role))

    def delete_topic(self, role: str) -> None:
        """See BusWorld."""
        self._topics.delete([self.names.topic(role)])
        self._created.remove(self.names.topic(role))
        until(lambda: self.bus.spans(role) == {})

    def truncate(self, place: Place, low: int) -> None:
        """See BusWorld."""
        at = TopicPartition(self.names.topic(place.role), place.partition, low)
        self._admin.delete_records([at])[at].result(_PATIENCE_S)

    def pass_time(self, elapsed_ms: int) -> None:
        """See BusWorld."""
        time.sleep(elapsed_ms / 1000)

    def crash(self, producer: TransactionalProducer, transaction: Transaction, at: Step) -> None:
        """See BusWorld."""
        assert isinstance(producer, KafkaTransactionalProducer)

        def strike(step: str) -> None:
            if step == at:
                raise SimulatedCrash

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(failpoints, "reached", strike)
            with pytest.raises(SimulatedCrash):
                producer.commit(transaction)
        producer._client.flush(_PATIENCE_S)  # what is in the client's queue is to be on the broker

    def commit_slowly(self, producer: TransactionalProducer, transaction: Transaction) -> None:
        """See BusWorld."""

        def stall(step: str) -> None:
            if step == "produced":
                time.sleep(_STALL_MS / 1000)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(failpoints, "reached", stall)
            producer.commit(transaction)

    def tear_next_collect(self, consumer: GroupConsumer, cause: Callable[[], object]) -> None:
        """See BusWorld."""
        assert isinstance(consumer, KafkaGroupConsumer)
        consumer._consumer = _SlowClient(consumer, cause)  # type: ignore[assignment]

    def close(self) -> None:
        """Leave nothing behind on the broker, which may be a user's own."""
        self.bus.close()
        self._topics.delete(self._created)


class _ClosingBus(KafkaBus):
    """Closes the clients that a test leaves behind: an open group member hangs in its garbage collection."""

    def __init__(self, bootstrap_servers: str, names: TopicNames) -> None:
        super().__init__(bootstrap_servers, names)
        self._consumers: list[KafkaGroupConsumer] = []

    def consumer(
        self, service: str, roles: Sequence[str], instance: str | None, assignor: Assignor = "cooperative-sticky"
    ) -> KafkaGroupConsumer:
        """See `bus.Bus`."""
        self._consumers.append(super().consumer(service, roles, instance, assignor))
        return self._consumers[-1]

    def close(self) -> None:
        """Close all group members."""
        for consumer in self._consumers:
            consumer.close()


class _SlowClient:
    """A real client whose next `consume` takes as long as the rebalance that begins in it."""

    def __init__(self, consumer: KafkaGroupConsumer, cause: Callable[[], object]) -> None:
        self._owner = consumer
        self._client = consumer._consumer
        self._cause = cause

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def consume(self, limit: int, timeout_s: float) -> list[Any]:
        """As the client's, but it returns only after the rebalance callbacks ran."""
        rebalances = self._owner._rebalances
        self._cause()
        messages: list[Any] = []

        def told() -> bool:
            messages.extend(self._client.consume(limit - len(messages), _WAIT_S))
            return self._owner._rebalances > rebalances

        until(told)
        self._owner._consumer = self._client
        return messages


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def bus_world(request: pytest.FixtureRequest) -> Iterator[BusWorld]:
    """Each world in turn, with names that no other test has."""
    if request.param == "memory":
        yield MemoryWorld()
    else:
        world = KafkaWorld(request.getfixturevalue("kafka"), request.getfixturevalue("namespace"))
        yield world
        world.close()


def until(answer: Callable[[], T | None]) -> T:
    """Ask again until the answer is true, and return it."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        if found := answer():
            return found
        assert time.monotonic() < deadline, "what the test waits for did not come"


def send(role: str, *values: bytes | None, partition: int = 0, key: bytes = b"k") -> Send:
    """Rows for one partition, all with the same key."""
    return Send(role, [key] * len(values), values, [partition] * len(values))


def write(bus: Bus, role: str, *values: bytes | None, partition: int = 0, key: bytes = b"k") -> list[int]:
    """Write plain records; their offsets."""
    producer = bus.producer()
    offsets = producer.send(send(role, *values, partition=partition, key=key))
    producer.close()
    return offsets


def opened(bus: Bus, slot: str = "0", *, reopen: bool = True) -> TransactionalProducer:
    """A transactional producer that has fenced its predecessors."""
    producer = bus.transactional_producer("inference", slot, reopen=reopen)
    producer.open()
    return producer


def patiently(call: Callable[[], T]) -> T:
    """Call again while the bus says that the same call may go through later."""

    def attempt() -> list[T]:
        with suppress(RetriableError):
            return [call()]
        return []

    return until(attempt)[0]


def read_all(bus: Bus, role: str, starts: dict[Place, int] | None = None) -> list[Record]:
    """All that a reader gives until it is caught up."""
    reader = patiently(lambda: bus.reader([role], starts))
    records: list[Record] = []
    while not reader.caught_up():
        records += [record for batch in reader.read(100, _WAIT_S) for record in batch.records]
    reader.close()
    return records


def read_once_there(bus: Bus, role: str, count: int) -> list[Record]:
    """All that a reader gives, once it is so many: a commit is acknowledged before its markers are written."""
    return until(lambda: [rows for rows in [read_all(bus, role)] if len(rows) == count])[0]


def assert_reads(bus: Bus, role: str, values: list[bytes | None], starts: dict[Place, int] | None = None) -> None:
    """A reader gives just these values, at the latest when the markers of transactions that have ended are written."""
    deadline = time.monotonic() + _PATIENCE_S
    while (found := values_of(read_all(bus, role, starts))) != values:
        assert time.monotonic() < deadline, f"{found} instead of {values}"


def member(
    bus: Bus, *roles: str, instance: str | None = None, assignor: Assignor = "cooperative-sticky"
) -> GroupConsumer:
    """A new member of the group of `inference`, as yet without partitions."""
    return bus.consumer("inference", roles, instance, assignor)


def collect(consumer: GroupConsumer, limit: int = 100) -> Collected | None:
    """One collect, briefly."""
    return consumer.collect(limit, _NO_LIMIT_BYTES, _WAIT_S)


def settle(condition: Callable[[], bool], *consumers: GroupConsumer) -> None:
    """Let these members poll, in turn and with everything paused, until the condition holds."""

    def polled() -> bool:
        for consumer in consumers:
            assert collect(consumer) is None, "a paused partition delivered"
        return condition()

    until(polled)


def settled(bus: Bus, *roles: str, owns: int) -> GroupConsumer:
    """A member that owns so many partitions, all paused."""
    consumer = member(bus, *roles)
    settle(lambda: len(consumer.owned()) == owns, consumer)
    return consumer


def gather(consumer: GroupConsumer, count: int) -> list[tuple[Place, int, bytes | None]]:
    """Place, offset and value of the next rows, until there are so many."""
    rows: list[tuple[Place, int, bytes | None]] = []

    def enough() -> bool:
        collected = collect(consumer)
        if collected is not None:
            assert not collected.interrupted
            rows.extend(row for batch in collected.batches for row in as_rows(batch))
        return len(rows) >= count

    until(enough)
    return rows


def as_rows(batch: Batch) -> list[tuple[Place, int, bytes | None]]:
    """Place, offset and value of each row."""
    return [(Place(batch.role, record.partition()), record.offset(), record.value()) for record in batch.records]


def committed(consumer: GroupConsumer, place: Place) -> Committed | None:
    """The committed offset, as soon as it can be known."""
    return patiently(lambda: consumer.committed([place], 1.0))[place]


def values_of(records: Sequence[Record]) -> list[bytes | None]:
    """The values alone."""
    return [record.value() for record in records]
