"""More outputs than the client's queue holds, on a real Kafka."""

import pytest

from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.protocol import Send, Transaction
from support.buses import KafkaWorld, opened, read_all

pytestmark = pytest.mark.kafka

_ROWS = 500


def test_a_batch_of_more_outputs_than_the_queue_holds_is_committed_whole(kafka: str, namespace: str) -> None:
    """The producer waits for room and goes on with the same row, whether rows have partitions, headers, or neither."""
    world = KafkaWorld(kafka, namespace)
    world.make_topics("predictions", "labels", "dead-letters", "workers")
    bus = KafkaBus(kafka, world.names, extra={"queue.buffering.max.messages": "10"})
    keys = values = [f"{row}".encode() for row in range(_ROWS)]
    producer = opened(bus)
    producer.commit(
        Transaction(
            [
                Send("predictions", keys, values, [0] * _ROWS),
                Send("labels", keys, values),
                Send("dead-letters", keys, values, [1] * _ROWS, headers=[[("reason", b"test")]] * _ROWS),
            ]
        )
    )
    producer.close()
    plain = bus.producer()
    assert plain.send(Send("workers", keys, values, [0] * _ROWS)) == list(range(_ROWS))
    plain.close()
    for role in ("predictions", "labels", "dead-letters", "workers"):
        assert sorted(record.value() or b"" for record in read_all(world.bus, role)) == sorted(values)
    world.close()
