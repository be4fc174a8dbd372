"""What a client is told when it tries something on Kafka: the code of the refusal, or None where it may."""

import time
from collections.abc import Collection
from typing import Any, Final

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

Told = dict[str, int | None]
"""By name, what came of the attempt on it."""

_PATIENCE_S: Final = 30.0
_LATER: Final = (
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
)


def writes(client: dict[str, Any], topics: Collection[str]) -> Told:
    """Send one record to each topic."""
    told: Told = {}

    def delivered(error: KafkaError | None, message: Message) -> None:
        told[str(message.topic())] = None if error is None else error.code()

    producer = Producer({**client, "enable.idempotence": False, "linger.ms": 0})
    for topic in topics:
        producer.produce(topic, b"tried", key=b"tried", partition=0, on_delivery=delivered)
    assert producer.flush(_PATIENCE_S) == 0
    return told


def reads(client: dict[str, Any], topics: Collection[str]) -> Told:
    """Read the first record of each topic, or come to its end.

    A consumer waits for topics that it may not even see, and says nothing: these are asked for one by one.
    """
    consumer = Consumer({**client, "group.id": "nobody", "enable.auto.commit": False, "enable.partition.eof": True})
    told: Told = {}
    for topic in topics:
        if (error := consumer.list_topics(topic, timeout=_PATIENCE_S).topics[topic].error) is not None:
            told[topic] = error.code()
    consumer.assign([TopicPartition(topic, 0, 0) for topic in topics if topic not in told])
    deadline = time.monotonic() + _PATIENCE_S
    while len(told) < len(topics):
        assert time.monotonic() < deadline, {*topics} - told.keys()
        message = consumer.poll(1)
        if message is not None and message.topic() is not None:  # the error of a group, which plays no part, has none
            told[str(message.topic())] = _code_of(message)
    consumer.close()
    return told


def _code_of(message: Message) -> int | None:
    error = message.error()
    return None if error is None or error.code() == KafkaError._PARTITION_EOF else error.code()


def commits(client: dict[str, Any], groups: Collection[str], topic: str) -> Told:
    """Commit an offset of this topic, which the client may read, for each group."""
    admin = AdminClient(client)
    place = TopicPartition(topic, 0, 0)
    return {group: _committed(admin, ConsumerGroupTopicPartitions(group, [place])) for group in groups}


def _committed(admin: AdminClient, asked: ConsumerGroupTopicPartitions) -> int | None:
    """Asks again while the broker has not yet read what it knows of groups, as after its start."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            (at,) = admin.alter_consumer_group_offsets([asked])[asked.group_id].result(_PATIENCE_S).topic_partitions
            code = at.error.code() if at.error is not None else None
        except KafkaException as refused:
            code = int(refused.args[0].code())
        if code not in _LATER or time.monotonic() > deadline:
            # a group with members takes nothing from others, which is told only to whom it would take something from
            return None if code == KafkaError.UNKNOWN_MEMBER_ID else code
        time.sleep(0.1)


def transactions(client: dict[str, Any], ids: Collection[str]) -> Told:
    """Take over each transactional id."""
    return {one: _taken(client, one) for one in ids}


def _taken(client: dict[str, Any], transactional_id: str) -> int | None:
    try:
        Producer({**client, "transactional.id": transactional_id}).init_transactions(_PATIENCE_S)
    except KafkaException as refused:
        return int(refused.args[0].code())
    return None


def connects(client: dict[str, Any]) -> bool:
    """Whether the broker says anything to this client."""
    try:
        AdminClient(client).list_topics(timeout=2)
    except KafkaException:
        return False
    return True
