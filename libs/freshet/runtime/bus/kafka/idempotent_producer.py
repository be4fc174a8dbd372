"""The producer without transactions on Kafka: for states, artifacts, commands, and whatever a person sends."""

import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from freshet.runtime.bus.kafka.connection import ConnectionErrors
from freshet.runtime.bus.kafka.errors import bus_error, kafka_error
from freshet.runtime.bus.kafka.producer import enqueue
from freshet.runtime.bus.protocol import RetriableError, Send
from freshet.runtime.interrupts import Held, interrupts_held

# The client itself gives a record up after 300 s (`message.timeout.ms`), and then says so.
_DELIVERY_DEADLINE_S: Final = 315.0
_TOLD_AFTER_S: Final = 5.0
_FLUSH_SLICE_S: Final = 0.25  # how long it takes until Ctrl-C is seen
_INTERRUPTED_S: Final = 3.0


class KafkaProducer:
    """Implements `bus.Producer`."""

    def __init__(self, config: dict[str, Any], topic: Callable[[str], str]) -> None:
        self._errors = ConnectionErrors()
        self._producer = Producer(config | {"error_cb": self._errors})
        self._topic = topic
        self._log = structlog.get_logger("kafka")

    def send(self, send: Send) -> list[int]:
        """See `bus.Producer`. Outlasts a broker that is away for minutes, and says so in the log."""
        topic = self._topic(send.role)
        offsets: dict[int, int] = {}
        failures: list[KafkaError] = []

        def delivered(row: int) -> Callable[[KafkaError | None, Message], None]:
            def note(error: KafkaError | None, message: Message) -> None:
                if error is not None:
                    failures.append(error)
                else:
                    offsets[row] = message.offset() or 0

            return note

        with interrupts_held() as held:
            try:
                enqueue(self._producer, topic, send, delivered)
                left = self._flushed(held, topic)
            except (KafkaException, SystemError) as error:
                raise bus_error(kafka_error(error), f"writing to {topic}") from error
        written = f"{len(offsets)} of {len(send.values)} records were acknowledged"
        if failures:
            raise bus_error(failures[0], f"writing to {topic}: {written}")
        if left:
            raise RetriableError(f"writing to {topic}: {written} in time.")
        return [offsets[row] for row in range(len(send.values))]

    def _flushed(self, held: Held, topic: str) -> int:
        """Wait until all is acknowledged, after Ctrl-C for a moment only; how many records still are not."""
        began_s, told = time.monotonic(), False
        while left := self._producer.flush(_FLUSH_SLICE_S):
            waited_s = time.monotonic() - began_s
            if held.asked:
                return self._producer.flush(_INTERRUPTED_S)
            if waited_s >= _DELIVERY_DEADLINE_S:
                break
            if not told and waited_s >= _TOLD_AFTER_S:
                told = True
                self._log.warning("waiting_for_kafka", topic=topic, records=left, cause=self._errors.cause)
        return left

    def close(self) -> None:
        """See `bus.Producer`."""
        self._producer.purge()
