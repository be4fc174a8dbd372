"""Where a Kafka of several brokers keeps its partitions."""

from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka.admin import AdminClient


@dataclass(frozen=True, slots=True)
class Placed:
    """The brokers of one partition, by their numbers; the leader is -1 while there is none."""

    leader: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


def placement(bootstrap_servers: str, topic: str) -> Mapping[int, Placed]:
    """Of each partition of a topic."""
    return placements(bootstrap_servers)[topic]


def placements(bootstrap_servers: str) -> Mapping[str, Mapping[int, Placed]]:
    """Of each partition of each topic."""
    topics = AdminClient({"bootstrap.servers": bootstrap_servers}).list_topics(timeout=30).topics
    return {
        name: {
            number: Placed(partition.leader, tuple(partition.replicas), tuple(partition.isrs))
            for number, partition in topic.partitions.items()
        }
        for name, topic in topics.items()
    }
