"""The local broker itself: what it keeps, and what it survives."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from freshet.lab import broker
from freshet.operate.operate_error import LocalError

pytestmark = pytest.mark.kafka


@pytest.fixture(autouse=True)
def own_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are about brokers that we start, whatever Kafka the other tests are given."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A folder whose broker is gone after the test."""
    yield tmp_path
    broker.wipe(tmp_path)


def create_topic(bootstrap_servers: str, topic: str) -> None:
    """Make a topic of one partition."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(topic, 1)])[topic].result(30)


def topics(bootstrap_servers: str) -> set[str]:
    """The topics there are."""
    return set(AdminClient({"bootstrap.servers": bootstrap_servers}).list_topics(timeout=30).topics)


def write(bootstrap_servers: str, value: bytes, *, commit: bool) -> None:
    """Write one record in a transaction of its own to topic `kept`."""
    producer = Producer({"bootstrap.servers": bootstrap_servers, "transactional.id": "writer"})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce("kept", value)
    producer.flush(30)
    producer.commit_transaction(30) if commit else producer.abort_transaction(30)


def read_committed(bootstrap_servers: str) -> list[bytes | None]:
    """All that a `read_committed` consumer sees of topic `kept`."""
    settings = {"group.id": "reader", "auto.offset.reset": "earliest", "enable.partition.eof": "true"}
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, **settings})
    consumer.subscribe(["kept"])
    values = []
    while (message := consumer.poll(30)) is not None and message.error() is None:
        values.append(message.value())
    consumer.close()
    return values


def test_data_survive_a_crash_and_a_stop_on_the_same_ports(root: Path) -> None:
    """SIGKILL or stop, then start: same address, committed records there, aborted ones not; `wipe` ends it all."""
    before = broker.up(root, say=print)
    create_topic(before.bootstrap_servers, "kept")
    write(before.bootstrap_servers, b"committed", commit=True)
    write(before.bootstrap_servers, b"aborted", commit=False)

    broker.kill(root)
    assert broker.status(root).state == "crashed"
    with pytest.raises(LocalError, match="not running"):
        broker.kill(root)

    assert broker.up(root, say=print).bootstrap_servers == before.bootstrap_servers
    assert read_committed(before.bootstrap_servers) == [b"committed"]

    assert broker.down(root)
    assert not broker.down(root)
    assert broker.status(root).state == "stopped"
    after = broker.up(root, say=print)
    assert [(node.client_port, node.controller_port) for node in after.nodes] == [
        (node.client_port, node.controller_port) for node in before.nodes
    ]
    assert "kept" in topics(after.bootstrap_servers)

    broker.wipe(root)
    assert broker.status(root).state == "absent"
    assert not (root / ".local" / "kafka").exists()


def test_any_number_of_callers_get_one_broker(root: Path) -> None:
    """Two terminals that say `up` at the same time must not start two brokers on one data folder."""
    script = (
        "import sys; from pathlib import Path; from freshet.lab import broker\n"
        "print(broker.up(Path(sys.argv[1]), say=lambda _: None).model_dump_json())\n"
    )
    command = [sys.executable, "-c", script, str(root)]
    callers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = {caller.communicate()[0] for caller in callers}

    assert answers == {broker.up(root, say=print).model_dump_json() + "\n"}
    assert broker.status(root).answers


def test_a_broker_that_cannot_start_says_its_last_words(root: Path) -> None:
    """A damaged data folder: the error holds what the broker wrote, and names the log."""
    broker.up(root, say=print)
    broker.down(root)
    (root / ".local" / "kafka" / "data" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=other\n")

    with pytest.raises(LocalError, match=r"(?s)ended while starting.*broker\.log.*node id 7"):
        broker.up(root, say=print)
    assert broker.status(root).state == "crashed"


def test_a_dead_address_of_the_users_own_kafka_is_an_error(root: Path) -> None:
    """With the variable set, a local broker is never started behind the user's back."""
    with pytest.raises(LocalError, match="nothing answers there"):
        broker.up(root, say=print, environ={"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
    assert broker.status(root).state == "absent"


def test_the_shared_broker_of_the_session_answers(kafka: str, namespace: str) -> None:
    """The fixture that all other tests build on gives a Kafka and a prefix that makes legal topic names."""
    topic = f"{namespace}probe"
    create_topic(kafka, topic)
    assert topic in topics(kafka)


def test_data_of_another_release_are_refused_in_one_sentence(root: Path) -> None:
    """Kafka's own words for it are a stack trace; ours say what is in the way and how to go on."""
    broker.up(root, say=print)
    broker.down(root)
    state = root / ".local" / "kafka"
    for note, by in (("4.3.1\n", "Kafka 4.3.1"), (None, "another Kafka")):
        (state / "formatted-by").unlink()
        if note is not None:
            (state / "formatted-by").write_text(note)
        (state / "broker.log").write_text("")
        with pytest.raises(LocalError, match=rf"{by}.*`freshet local wipe --yes`") as refused:
            broker.up(root, say=print)
        assert "\n" not in str(refused.value)
        assert (state / "broker.log").read_text() == ""
    broker.wipe(root)
    assert broker.up(root, say=print).answers
