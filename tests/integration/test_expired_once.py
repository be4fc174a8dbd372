"""librdkafka hands on an error of a fetch that left before the partition was started: it must stop nobody."""

from typing import Any

import pytest

from freshet.runtime.bus.kafka.kafka_consumer import KafkaGroupConsumer
from freshet.runtime.bus.protocol import ExpiredError, Place
from support.buses import KafkaWorld, collect, gather, settled, until, write

pytestmark = pytest.mark.kafka
PLACE = Place("events", 0)


def test_an_error_of_a_fetch_before_the_start_is_dropped(kafka: str, namespace: str) -> None:
    """The very message that told of an expired offset comes once more, after a start at what the topic holds."""
    world = KafkaWorld(kafka, namespace)
    world.make_topics("events", partitions=1)
    write(world.bus, "events", b"a", b"b", b"c")
    world.truncate(PLACE, 2)
    consumer = settled(world.bus, "events", owns=1)
    assert isinstance(consumer, KafkaGroupConsumer)
    consumer.start(PLACE, 0)
    late = _error_of(consumer)
    consumer._errors.append(late)
    assert collect(consumer) is None  # told already
    consumer.start(PLACE, 2)
    consumer._errors.append(late)
    assert gather(consumer, 1) == [(PLACE, 2, b"c")]
    world.close()


def _error_of(consumer: KafkaGroupConsumer) -> Any:
    """The message behind the ExpiredError that the next collects raise."""
    seen: list[Any] = []
    hand_on = consumer._raise

    def listen(message: Any) -> None:
        seen.append(message)
        hand_on(message)

    consumer._raise = listen  # type: ignore[method-assign]
    with pytest.raises(ExpiredError):
        until(lambda: collect(consumer))
    consumer._raise = hand_on  # type: ignore[method-assign]
    return seen[-1]
