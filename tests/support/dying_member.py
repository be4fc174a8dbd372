"""A member of a consumer group in a fixed slot that says what it owns, and dies in its next rebalance if told to.

Arguments: bootstrap servers, namespace, assignor, and `die` or `live`. It prints the partitions that it owns, as JSON,
whenever they change.
"""

import json
import os
import sys
from typing import Any

from freshet.contracts.topic_table import TopicNames
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.kafka_consumer import KafkaGroupConsumer
from freshet.runtime.bus.protocol import Assignor, GroupConsumer

EXTRA = {"session.timeout.ms": "15000", "max.poll.interval.ms": "15000", "heartbeat.interval.ms": "500"}
DIED = 9


def member(bootstrap_servers: str, namespace: str, slot: str, assignor: Assignor) -> GroupConsumer:
    """A member that hears of a rebalance soon."""
    bus = KafkaBus(bootstrap_servers, TopicNames(namespace, "fraud"), extra=EXTRA)
    return bus.consumer("inference", ["events"], slot, assignor)


def owned(consumer: GroupConsumer) -> list[int]:
    """The numbers of its partitions, after a poll."""
    consumer.collect(10, 2**20, 0.1)
    return sorted(place.partition for place in consumer.owned())


def _die(*_: Any) -> None:
    os._exit(DIED)


def main(bootstrap_servers: str, namespace: str, assignor: Assignor, fate: str) -> None:
    """Poll for ever, or until the first partition is to be given up."""
    if fate == "die":
        KafkaGroupConsumer._on_revoke = _die  # type: ignore[assignment, method-assign]
    consumer, said = member(bootstrap_servers, namespace, "0", assignor), list[int]()
    while True:
        if (now := owned(consumer)) != said:
            said = now
            print(json.dumps(said), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])  # type: ignore[arg-type]
