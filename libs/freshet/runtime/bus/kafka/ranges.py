"""Reads ranges of partitions on Kafka, with one client that is set to each."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from freshet.contracts.batch import Record
from freshet.runtime.bus.kafka.config import REQUEST_TIMEOUT_S
from freshet.runtime.bus.kafka.kafka_error import bus_error, translated
from freshet.runtime.bus.protocol import Place, RetriableError

_WAIT_S: Final = 0.2
_AT_ONCE: Final = 1000


class KafkaRangeReader:
    """Implements `bus.RangeReader`."""

    def __init__(self, config: dict[str, Any], topics: Mapping[str, str]) -> None:
        """`topics` maps role to physical name."""
        self._topics = dict(topics)
        # a range that retention has overtaken begins at what is left
        self._consumer = Consumer(config | {"enable.partition.eof": True, "auto.offset.reset": "earliest"})

    def read(self, place: Place, first: int, end: int) -> tuple[Sequence[Record], int]:
        """See `bus.RangeReader`."""
        topic = self._topics[place.role]
        doing = f"reading {topic}/{place.partition} from {first} to {end}"
        with translated(doing):
            self._consumer.assign([TopicPartition(topic, place.partition, first)])
            try:
                return self._until(topic, first, end, doing)
            finally:
                self._consumer.unassign()  # the next read would wait for a fetch of what nobody asked for

    def _until(self, topic: str, first: int, end: int, doing: str) -> tuple[Sequence[Record], int]:
        found = list[Message]()
        late_s = time.monotonic() + REQUEST_TIMEOUT_S
        while time.monotonic() < late_s:
            for message in self._fetched(end - first):
                error, offset = message.error(), message.offset()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    raise bus_error(error, doing, f"READ on topic {topic}")
                assert offset is not None
                if error is not None:
                    return found, min(offset, end)  # type: ignore[return-value]
                if offset < first:
                    return [], first  # the log ends before it, so that the client began at the log's beginning
                if offset < end:
                    found.append(message)
                if offset >= end - 1:
                    return found, end  # type: ignore[return-value]
        raise RetriableError(f"{doing}: nothing more came in {REQUEST_TIMEOUT_S:.0f} s. Is the broker well?")

    def _fetched(self, most: int) -> list[Message]:
        """What is there, once there is something: a range with transaction markers never has as many as were asked."""
        message = self._consumer.poll(_WAIT_S)
        return [] if message is None else [message, *self._consumer.consume(min(_AT_ONCE, most), 0)]

    def close(self) -> None:
        """See `bus.RangeReader`."""
        self._consumer.close()
