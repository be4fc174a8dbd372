"""Three brokers of a folder: every topic on each of them, and one can be lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from freshet.contracts.topic_table import TopicNames
from freshet.lab import broker
from freshet.operate.connection import Connection
from freshet.operate.requirements import requirements
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.protocol import Send
from freshet.runtime.provision import provision
from freshet.runtime.reading import everything
from support.brokers import placement

pytestmark = [pytest.mark.kafka, pytest.mark.faults]

SEND = Send("commands", [b"k"] * 3, [b"a", b"b", b"c"])


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for three brokers of this test's own."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    yield tmp_path
    broker.wipe(tmp_path)


@pytest.mark.timeout(300)
def test_one_of_three_is_killed_and_sending_goes_on(root: Path) -> None:
    """Its topics have three replicas of which two must have a record; `up` starts the dead one alone."""
    endpoint = broker.up(root, say=print, brokers=3)
    provision(KafkaAdmin(endpoint.bootstrap_servers), "", [])
    at = placement(endpoint.bootstrap_servers, "freshet.commands")[0]
    assert sorted(at.replicas) == [1, 2, 3]
    settings = KafkaAdmin(endpoint.bootstrap_servers).describe(["freshet.commands"])["freshet.commands"].configs
    assert settings["min.insync.replicas"] == "2"
    connection = Connection(endpoint.bootstrap_servers, "", {}, KafkaAdmin(endpoint.bootstrap_servers))
    health = {line.about: line.health for line in requirements(connection)}
    assert {*health.values()} == {"ok"}, health

    broker.kill(root, broker=at.leader)
    states = [node.state for node in (broker.status(root).endpoint or endpoint).nodes]
    assert [number for number, state in enumerate(states, start=1) if state == "crashed"] == [at.leader]
    bus = KafkaBus(endpoint.bootstrap_servers, TopicNames("", "p"))
    producer = bus.producer()
    assert producer.send(SEND) == [0, 1, 2]
    producer.close()
    assert sum(map(len, everything(bus, "commands"))) == 3

    again = broker.up(root, say=print)
    lost = at.leader - 1
    assert again.bootstrap_servers == endpoint.bootstrap_servers
    assert [node for node in again.nodes if node not in endpoint.nodes] == [again.nodes[lost]]
