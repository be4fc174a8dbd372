"""The baseline: copies a topic with the client settings of the services, until SIGTERM. Run by the benchmarks."""

import argparse
import signal
import threading
from collections.abc import Iterator

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from freshet.contracts.logic import BatchLimits
from freshet.runtime.bus.kafka import config


def main() -> None:
    """Copy values with their keys and partitions, a batch at a time."""
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "source", "target", "group"):
        parser.add_argument(name)
    parser.add_argument("--transactions", action="store_true")
    arguments = parser.parse_args()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    settings = config.group_consumer(arguments.bootstrap, {}, arguments.group, None, "range")
    consumer = Consumer(settings | {"auto.offset.reset": "earliest"})
    consumer.subscribe([arguments.source])
    copy = in_transactions if arguments.transactions else with_plain_commits
    copy(batches(consumer, stopping), consumer, arguments)
    consumer.close()


def batches(consumer: Consumer, stopping: threading.Event) -> Iterator[list[Message]]:
    """What is there, at most as many rows at a time as the services take."""
    rows = BatchLimits().rows
    while not stopping.is_set():
        first = consumer.poll(0.1)
        if first is not None:
            yield [first, *consumer.consume(rows - 1, 0)]


def in_transactions(of: Iterator[list[Message]], consumer: Consumer, arguments: argparse.Namespace) -> None:
    """Exactly-once: the copies and the offsets of a batch in one transaction, as the services do."""
    producer = Producer(config.transactional_producer(arguments.bootstrap, {}, arguments.group, 15_000))
    producer.init_transactions(10)
    for batch in of:
        producer.begin_transaction()
        produce(producer, batch, arguments.target)
        ends = {(m.topic(), m.partition()): (m.offset() or 0) + 1 for m in batch}
        offsets = [TopicPartition(topic or "", partition or 0, end) for (topic, partition), end in ends.items()]
        producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), 10)
        producer.commit_transaction(10)


def with_plain_commits(of: Iterator[list[Message]], consumer: Consumer, arguments: argparse.Namespace) -> None:
    """At-least-once."""
    producer = Producer(config.producer(arguments.bootstrap, {}) | {"delivery.report.only.error": True})
    for batch in of:
        produce(producer, batch, arguments.target)
        producer.flush(10)
        consumer.commit(asynchronous=True)


def produce(producer: Producer, batch: list[Message], target: str) -> None:
    """Queue the copies."""
    for message in batch:
        producer.produce(target, message.value(), message.key(), message.partition() or 0)


if __name__ == "__main__":
    main()
