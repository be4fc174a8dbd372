"""The producer without transactions on Kafka: for states, artifacts, commands, and whatever a person sends."""

import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from freshet.runtime.bus.kafka.connection_errors import ConnectionErrors
from freshet.runtime.bus.kafka.kafka_error import bus_error, kafka_error
from freshet.runtime.bus.kafka.kafka_producer import enqueue
from freshet.runtime.bus.protocol import RetriableError, Send, TopicGoneError
from freshet.runtime.interrupts import Held, interrupts_held

# The client itself gives a record up after 300 s (`message.timeout.ms`), and then says so.
_DELIVERY_DEADLINE_S: Final = 315.0
_TOLD_AFTER_S: Final = 5.0
_FLUSH_SLICE_S: Final = 0.25  # how long it takes until Ctrl-C is seen
_INTERRUPTED_S: Final = 3.0
_LOOK_EVERY_S: Final = 2.0  # an answer that takes longer may be missing because its topic is


class KafkaProducer:
    """Implements `bus.Producer`."""

    def __init__(
        self, config: dict[str, Any], topic: Callable[[str], str], is_there: Callable[[str], bool] = lambda _: True
    ) -> None:
        """`is_there`: whether a role's topic exists. The client waits for an absent one as long as for any other."""
        self._errors = ConnectionErrors()
        self._producer = Producer(config | {"error_cb": self._errors})
        self._topic, self._is_there = topic, is_there
        self._log = structlog.get_logger("kafka")

    def send(self, send: Send, within_s: float | None = None) -> list[int]:
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
                left = self._flushed(held, send.role, _DELIVERY_DEADLINE_S if within_s is None else within_s)
            except (KafkaException, SystemError) as error:
                raise bus_error(kafka_error(error), f"writing to {topic}", f"WRITE on topic {topic}") from error
        written = f"{len(offsets)} of {len(send.values)} records were acknowledged"
        if failures:
            raise bus_error(failures[0], f"writing to {topic}: {written}", f"WRITE on topic {topic}")
        if left:
            raise RetriableError(f"writing to {topic}: {written} in time.")
        return [offsets[row] for row in range(len(send.values))]

    def _flushed(self, held: Held, role: str, within_s: float) -> int:
        """Wait until all is acknowledged, after Ctrl-C for a moment only; how many records still are not."""
        began_s = looked_s = time.monotonic()
        told = False
        while left := self._producer.flush(_FLUSH_SLICE_S):
            now_s = time.monotonic()
            waited_s = now_s - began_s
            if held.asked:
                return self._producer.flush(_INTERRUPTED_S)
            if now_s - looked_s >= _LOOK_EVERY_S:
                looked_s = now_s
                self._must_be_there(role)
            if waited_s >= within_s:
                break
            if not told and waited_s >= _TOLD_AFTER_S:
                told = True
                self._log.warning("waiting_for_kafka", topic=self._topic(role), records=left, cause=self._errors.cause)
        return left

    def _must_be_there(self, role: str) -> None:
        if not self._is_there(role):
            self._producer.purge()
            self._producer.flush(_INTERRUPTED_S)
            raise TopicGoneError(f"topic {self._topic(role)} is not there (any more): nothing is written to it.")

    def close(self) -> None:
        """See `bus.Producer`."""
        self._producer.purge()
