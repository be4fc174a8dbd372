"""The broker itself dies, and comes back on its data: every client finds it again, in time and by itself."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from freshet.lab import broker
from freshet.models.bundle import Bundle
from freshet.runtime.bus.kafka.kafka_producer import KafkaTransactionalProducer
from freshet.runtime.bus.kafka.transactions import find_hanging
from freshet.runtime.bus.protocol import Committed, Place, RefusedError, Transaction
from freshet.runtime.topic_plan import topic_names
from support.buses import KafkaWorld, collect, committed, opened, send, settled
from support.faults import Trial

pytestmark = [pytest.mark.kafka, pytest.mark.e2e, pytest.mark.faults]

_KILLS: Final = 20
_RATE: Final = 200.0  # the whole run lasts for minutes, and is judged from all that it left on the topics
# never kill a Kafka that is not our own
_ENVIRON: Final = {name: value for name, value in os.environ.items() if name != "KAFKA_BOOTSTRAP_SERVERS"}


class Broker:
    """A broker of this test's own."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.address = broker.up(root, say=print, environ=_ENVIRON).bootstrap_servers

    def die_and_return(self) -> None:
        """SIGKILL, and a start on the same data and ports."""
        broker.kill(self._root)
        assert broker.up(self._root, say=print, environ=_ENVIRON).bootstrap_servers == self.address


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Broker]:
    """Started before the test, deleted after it."""
    root = tmp_path / "broker"
    try:
        yield Broker(root)
    finally:
        broker.wipe(root, environ=_ENVIRON)


@pytest.mark.timeout(1800)
def test_a_broker_that_is_killed_and_comes_back(
    own: Broker, namespace: str, models: list[Bundle], tmp_path: Path
) -> None:
    """What was committed is there, what was open is done again, no transaction hangs; a model takes over afterwards."""
    with Trial(own.address, namespace, tmp_path, rate=_RATE) as here:
        here.start(models[0])
        for name in here.stage.inference:  # a group that is still dividing its partitions: docs/failures.md
            here.wait_owned(name, 1)
        for number in range(_KILLS):
            own.die_and_return()
            here.kills += 1
            here.wait_progress("ingestion")
            here.wait_progress("inference")
            time.sleep(0.07 * number)  # at another moment of the batches each time
        names = here.stage.names
        topics = topic_names(names.namespace, [(names.pipeline, here.stage.spec.partitions)])
        groups = [names.group(service) for service in ("ingestion", "inference")]
        assert find_hanging(here.stage.admin, topics, groups=groups) == []
        here.roll_out(models[1])
        here.end()


def test_a_producer_that_idles_through_a_restart_is_replaced(own: Broker, namespace: str) -> None:
    """Once its member has polled, its next transaction goes through: the old client would hang in it for good."""
    world, place = KafkaWorld(own.address, namespace), Place("features", 0)
    world.make_topics("features", "predictions")
    producer = opened(world.bus)
    assert isinstance(producer, KafkaTransactionalProducer)
    consumer, client = settled(world.bus, "features", owns=2), producer._producer
    producer.commit(Transaction([send("predictions", b"one")], {place: Committed(1)}, consumer.membership()))
    assert committed(consumer, place) == Committed(1)
    own.die_and_return()
    two = Transaction([send("predictions", b"two")], {place: Committed(2)}, consumer.membership())
    with pytest.raises(RefusedError, match="the next poll"):
        producer.commit(two)
    assert collect(consumer) is None
    producer.commit(two)
    assert committed(consumer, place) == Committed(2)
    assert producer._producer is not client
    world.close()
