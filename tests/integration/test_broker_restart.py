"""A real broker that goes away and comes back, and what was being sent meanwhile."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from freshet.contracts.topic_table import TopicNames
from freshet.lab import broker
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.protocol import Send
from freshet.runtime.provision import provision
from freshet.runtime.reading import everything

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SEND = Send("commands", [b"k"] * 3, [b"a", b"b", b"c"])


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A folder for a broker of this test's own."""
    yield tmp_path
    broker.wipe(tmp_path)


@pytest.mark.timeout(240)
def test_what_is_sent_while_a_real_broker_restarts_is_there_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is away for longer than half a minute, after which a send used to give up."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    address = broker.up(root, say=print, environ=os.environ).bootstrap_servers
    bus = KafkaBus(address, TopicNames("", "p"))
    provision(KafkaAdmin(address), "", [], say=print)
    client = bus.producer()
    client.send(SEND)
    broker.kill(root)
    offsets: list[int] = []
    sending = threading.Thread(target=lambda: offsets.extend(client.send(SEND)), daemon=True)
    sending.start()
    time.sleep(33)
    assert broker.up(root, say=print, environ=os.environ).bootstrap_servers == address
    sending.join(60)
    client.close()
    assert offsets == [3, 4, 5]
    assert sum(len(batch) for batch in everything(bus, "commands")) == 6
