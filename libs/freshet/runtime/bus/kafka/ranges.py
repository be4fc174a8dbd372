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
        topic, found = self._topics[place.role], list[Message]()
        doing = f"reading {topic}/{place.partition} from {first} to {end}"
        late_s = time.monotonic() + REQUEST_TIMEOUT_S
        with translated(doing):
            self._consumer.assign([TopicPartition(topic, place.partition, first)])
            while time.monotonic() < late_s:
                for message in self._consumer.consume(min(_AT_ONCE, end - first), _WAIT_S):
                    error, offset = message.error(), message.offset()
                    if error is not None and error.code() != KafkaError._PARTITION_EOF:
                        raise bus_error(error, doing, reads=topic)
                    assert offset is not None
                    if error is not None:
                        return found, min(offset, end)  # type: ignore[return-value]
                    if first <= offset < end:
                        found.append(message)
                    if offset >= end - 1:
                        return found, end  # type: ignore[return-value]
        raise RetriableError(f"{doing}: nothing more came in {REQUEST_TIMEOUT_S:.0f} s. Is the broker well?")

    def close(self) -> None:
        """See `bus.RangeReader`."""
        self._consumer.close()
