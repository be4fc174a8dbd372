"""Reads whole topics on Kafka, without a group."""

from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from freshet.contracts.batch import Batch
from freshet.runtime.bus.kafka.kafka_error import bus_error, translated
from freshet.runtime.bus.protocol import BusError, Place, Span


class KafkaLogReader:
    """Implements `bus.LogReader`."""

    def __init__(
        self,
        config: dict[str, Any],
        topics: Mapping[str, str],
        starts: Mapping[Place, int] | None,
        spans: Callable[[str], dict[int, Span]],
    ) -> None:
        """`topics` maps role to physical name; `spans` reads low and committed end of a role's partitions."""
        self._group = config["group.id"]
        self._roles = {topic: role for role, topic in topics.items()}
        self._spans = spans
        self._starts = dict(starts) if starts is not None else None
        self._ends: dict[Place, int] = {}
        self._reached: dict[Place, int] = {}
        self._failure: BusError | None = None
        self._consumer = Consumer(
            config
            | {
                "enable.partition.eof": True,
                # a start that retention has overtaken begins at what is left
                "auto.offset.reset": "earliest",
            }
        )
        self._topics = dict(topics)
        self.mark_ends()

    def mark_ends(self) -> None:
        """See `bus.LogReader`."""
        known = len(self._reached)
        for role in self._topics:
            for partition, span in self._spans(role).items():
                place = Place(role, partition)
                if self._starts is not None and place not in self._starts:
                    continue
                self._ends[place] = span.end
                self._reached.setdefault(place, max(span.low, (self._starts or {}).get(place, span.low)))
        if len(self._reached) > known:  # at first, and when a topic was created since
            self._consumer.assign(
                [TopicPartition(self._topics[at.role], at.partition, offset) for at, offset in self._reached.items()]
            )

    def read(self, limit: int, timeout_s: float) -> list[Batch]:
        """See `bus.LogReader`. Records that came with an error are returned first; it is raised by the next call."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        with translated("reading"):
            first = self._consumer.poll(timeout_s)
            if first is None:
                return []
            messages = [first, *self._consumer.consume(limit - 1, 0)] if limit > 1 else [first]
        by_role: dict[str, list[Message]] = {}
        for message in messages:
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                doing = f"reading {topic}/{partition}" if topic else f"as group {self._group}"
                self._failure = bus_error(error, doing, f"READ on topic {topic}")
                continue
            assert topic is not None
            assert partition is not None
            assert offset is not None
            role = self._roles[topic]
            place = Place(role, partition)
            if error is not None:
                self._reached[place] = max(self._reached[place], offset)
                continue
            self._reached[place] = offset + 1
            by_role.setdefault(role, []).append(message)
        return [Batch(role, rows) for role, rows in by_role.items()]  # type: ignore[arg-type]

    def caught_up(self) -> bool:
        """See `bus.LogReader`."""
        return all(self._reached[place] >= end for place, end in self._ends.items())

    def close(self) -> None:
        """See `bus.LogReader`."""
        self._consumer.close()
