"""Transactions that stay open on a real Kafka: found, named, and told apart from those that end."""

import ctypes
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer, TopicPartition

from freshet.runtime.bus.kafka import wire
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.kafka.transactions import OFFSETS_TOPIC, find_hanging, offsets_partition
from support.buses import KafkaWorld, settled

pytestmark = pytest.mark.kafka

_LONG_MS = 600_000


@pytest.fixture
def admin(kafka: str) -> KafkaAdmin:
    """The session's broker."""
    return KafkaAdmin(kafka)


@pytest.fixture
def topic(admin: KafkaAdmin, namespace: str) -> str:
    """A topic of two partitions."""
    admin.create(f"{namespace}out", 2)
    return f"{namespace}out"


@pytest.fixture
def opened(kafka: str, namespace: str) -> Iterator[Producer]:
    """A producer in the middle of a transaction that may last for ten minutes; it is aborted after the test."""
    producer = Producer(
        {
            "bootstrap.servers": kafka,
            "transactional.id": f"{namespace}somebody",
            "transaction.timeout.ms": _LONG_MS,
        }
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    yield producer
    producer.abort_transaction(30)


def test_an_open_transaction_is_named(admin: KafkaAdmin, topic: str, opened: Producer, namespace: str) -> None:
    """Topic, partition, where readers stop, whose it is, since when, and that its coordinator still counts it."""
    plain = Producer({"bootstrap.servers": admin.address})
    plain.produce(topic, b"before", partition=1)
    plain.flush(30)
    began_ms = time.time_ns() // 1_000_000
    opened.produce(topic, b"open", partition=1)
    opened.flush(30)
    plain.produce(topic, b"behind", partition=1)
    plain.flush(30)

    (found,) = find_hanging(admin, [topic], longest_s=1.0)

    assert (found.topic, found.partition, found.last_stable_offset, found.end) == (topic, 1, 1, 3)
    assert found.transactional_id == f"{namespace}somebody"
    assert found.producer_id is not None
    assert found.since_ms is not None
    assert abs(found.since_ms - began_ms) < 60_000
    assert found.running


def test_offsets_that_wait_for_an_open_transaction_are_found(kafka: str, admin: KafkaAdmin, namespace: str) -> None:
    """A group whose offsets are in an open transaction: whoever takes its partitions over would wait for ever."""
    world = KafkaWorld(kafka, namespace)
    world.make_topics("features")
    consumer = settled(world.bus, "features", owns=2)
    group = world.names.group("inference")
    producer = Producer(
        {"bootstrap.servers": kafka, "transactional.id": f"{namespace}slot", "transaction.timeout.ms": _LONG_MS}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.send_offsets_to_transaction(
        [TopicPartition(world.names.topic("features"), 0, 5)], consumer.membership(), 30
    )

    (found,) = find_hanging(admin, [], groups=[group, f"{namespace}nobody"], longest_s=1.0)

    count = len(admin.partitions([OFFSETS_TOPIC]))
    assert (found.topic, found.partition) == (OFFSETS_TOPIC, offsets_partition(group, count))
    assert found.transactional_id == f"{namespace}slot"
    producer.abort_transaction(30)
    world.close()


def test_what_ends_meanwhile_is_not_reported(admin: KafkaAdmin, topic: str, opened: Producer) -> None:
    """A transaction that is open at the first look and committed at the next is an ordinary one."""
    opened.produce(topic, b"open", partition=0)
    opened.flush(30)
    looks = 0

    def commit(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            opened.commit_transaction(30)
            opened.begin_transaction()

    assert find_hanging(admin, [topic], longest_s=1e6, sleep=commit) == []


def test_a_topic_that_is_not_there_has_none(admin: KafkaAdmin, namespace: str) -> None:
    """Absent topics and groups are no error."""
    assert find_hanging(admin, [f"{namespace}nowhere"], groups=[f"{namespace}nobody"]) == []


@pytest.mark.parametrize("held", [True, False])
def test_a_coordinator_that_has_finished_is_told_apart(
    admin: KafkaAdmin, topic: str, opened: Producer, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    """Where the coordinator does not list the partition any more, nobody will ever write the marker."""
    opened.produce(topic, b"open", partition=0)
    opened.flush(30)
    told = wire.transaction_state

    def finished(coordinator: wire.Address, transactional_id: str) -> wire.TransactionState:
        state = told(coordinator, transactional_id)
        assert state.state == "Ongoing"
        return state if held else wire.TransactionState("CompleteCommit", state.producer_id, frozenset())

    monkeypatch.setattr(wire, "transaction_state", finished)
    assert [found.running for found in find_hanging(admin, [topic], longest_s=1.0)] == [held]


@pytest.mark.parametrize(
    "group", ["a", "freshet.inference.loans", "dev.freshet.inference.loans", "Grün", "polygenelubricants"]
)
def test_offsets_are_kept_where_java_puts_them(group: str) -> None:
    """Java's hash of the group's name without its sign; the last one's is the integer that has no opposite."""
    signed = ctypes.c_int32(sum(ord(letter) * 31**at for at, letter in enumerate(reversed(group)))).value
    assert offsets_partition(group, 50) == (0 if signed == -(2**31) else abs(signed) % 50)
