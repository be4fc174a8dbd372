"""The baseline: copies a topic with the client settings of the services. Run by bench_services."""

import argparse
import sys
from collections.abc import Iterator

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from freshet.contracts.logic import BatchLimits
from freshet.contracts.topics import TopicNames
from freshet.runtime.kafka import config


def batches(consumer: Consumer, rows: int, total: int) -> Iterator[list[Message]]:
    """What is there, at most `rows` at a time, until `total` records came by."""
    seen = 0
    while seen < total:
        first = consumer.poll(0.1)
        if first is not None:
            batch = [first, *consumer.consume(rows - 1, 0)]
            seen += len(batch)
            yield batch


def main() -> None:
    """Copy `--total` records from one topic to another, then exit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--total", type=int, required=True)
    parser.add_argument("--transactions", action="store_true")
    arguments = parser.parse_args()
    names = TopicNames(arguments.namespace, "bench")
    settings = config.group_consumer(arguments.bootstrap, {}, f"{arguments.namespace}{arguments.group}", None, "range")
    consumer = Consumer(settings | {"auto.offset.reset": "earliest"})
    consumer.subscribe([names.topic(arguments.source)])
    if arguments.transactions:
        settings = config.transactional_producer(
            arguments.bootstrap, {}, f"{arguments.namespace}{arguments.group}", 15000
        )
    else:
        settings = config.producer(arguments.bootstrap, {}) | {"delivery.report.only.error": True}
    producer = Producer(settings)
    if arguments.transactions:
        producer.init_transactions(10)
    consumer.poll(0.5)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    target = names.topic(arguments.target)
    for batch in batches(consumer, BatchLimits().rows, arguments.total):
        if arguments.transactions:
            producer.begin_transaction()
        for message in batch:
            producer.produce(target, message.value(), message.key(), message.partition() or 0)
        if arguments.transactions:
            ends = {(m.topic(), m.partition()): (m.offset() or 0) + 1 for m in batch}
            offsets = [TopicPartition(topic or "", partition or 0, end) for (topic, partition), end in ends.items()]
            producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), 10)
            producer.commit_transaction(10)
        else:
            producer.flush(10)
            consumer.commit(asynchronous=True)
    consumer.close()


if __name__ == "__main__":
    main()
