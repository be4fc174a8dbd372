"""Services whose topics are not there: before they were made, and after somebody deleted them."""

import time
from pathlib import Path

import pytest

from freshet.avro.control import encode
from freshet.contracts.topic_table import TopicNames
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.protocol import Send
from freshet.runtime.process import EXIT_FATAL
from freshet.runtime.provision import provision
from freshet.runtime.reading import everything
from support.ingestion import applied, framed, loan
from support.services import Process, until

pytestmark = pytest.mark.kafka

PIPELINE = ("--pipelines", "loans")


class Place:
    """A namespace of the session's broker, for the loans pipeline."""

    def __init__(self, bootstrap_servers: str, namespace: str) -> None:
        self.names = TopicNames(namespace, "loans")
        self.admin, self.bus = KafkaAdmin(bootstrap_servers), KafkaBus(bootstrap_servers, self.names)

    def apply(self) -> None:
        """Make what is missing of its topics, and publish it."""
        provision(self.admin, self.names.namespace, [("loans", 2)])
        record = applied().message
        assert record is not None
        self.bus.producer().send(Send("pipelines", [b"loans/1"], [encode(record)]))

    def feed(self, count: int) -> None:
        """So many events, by a producer that remembers no earlier topic."""
        event = framed(loan(at=int(time.time() * 1000)))
        self.bus.producer().send(Send("events", [b"ada"] * count, [event] * count))

    def vectors(self) -> int:
        """How many feature vectors there are."""
        return sum(len(batch.values) for batch in everything(self.bus, "features"))


@pytest.fixture
def place(kafka: str, namespace: str) -> Place:
    """Nothing is there yet."""
    return Place(kafka, namespace)


@pytest.mark.parametrize("service", ["ingestion", "inference"])
def test_a_service_that_comes_before_its_topics_says_so_once_and_waits(
    kafka: str, place: Place, tmp_path: Path, service: str
) -> None:
    """One line that names a topic and the command; no exit, no second line. Once they are made it goes on by itself."""
    with Process(kafka, place.names.namespace, tmp_path / "log", service, *PIPELINE) as process:
        why = process.logged("topics_missing")["why"]
        assert place.names.topic("features") in why or "more" in why
        assert "`freshet apply -f FOLDER`" in why
        until(lambda: process.get("/ready") == (503, f"{why}\n"), "/ready")
        place.apply()
        process.logged("topics_there")
        process.logged("joining")
        until(lambda: "no topic" not in process.get("/ready")[1], "/ready")
        assert len(process.log("topics_missing")) == 1
        assert process.log("retrying") == process.log("failed") == []


@pytest.mark.parametrize("role", ["features", "dead-letters", "workers"])
def test_an_output_that_is_deleted_under_a_service_is_waited_for(
    kafka: str, place: Place, tmp_path: Path, role: str
) -> None:
    """Not ready, with the topic's name; nothing is read until it is back, and then everything is answered."""
    place.apply()
    with Process(kafka, place.names.namespace, tmp_path / "log", "ingestion", *PIPELINE) as process:
        until(lambda: process.get("/ready")[0] == 200, "/ready")
        place.admin.delete([place.names.topic(role)])
        assert place.names.topic(role) in process.logged("topics_missing")["why"]
        status, why = process.get("/ready")
        assert (status, place.names.topic(role) in why) == (503, True)
        place.feed(5)
        place.apply()
        process.logged("topics_there")
        until(lambda: place.vectors() == 5, "the answers")
        until(lambda: process.get("/ready")[0] == 200, "/ready")
        assert len(process.log("topics_missing")) == 1


def test_an_input_that_is_deleted_under_a_service_is_begun_anew_by_its_successor(
    kafka: str, place: Place, tmp_path: Path
) -> None:
    """Not ready while it is away; once it is made anew the process ends, as it must not go on in another topic."""
    place.apply()
    place.feed(3)
    with Process(kafka, place.names.namespace, tmp_path / "log", "ingestion", *PIPELINE) as process:
        until(lambda: place.vectors() == 3, "the answers")
        place.admin.delete([place.names.topic("events")])
        assert place.names.topic("events") in process.logged("topics_missing")["why"]
        status, why = process.get("/ready")
        assert (status, place.names.topic("events") in why) == (503, True)
        place.apply()
        place.feed(2)
        assert process.ended() == EXIT_FATAL
        assert "successor starts at the new topic's beginning" in process.lines()[-1]["error"]
        assert len(process.log("topics_missing")) == 1
    with Process(kafka, place.names.namespace, tmp_path / "next", "ingestion", *PIPELINE):
        until(lambda: place.vectors() == 5, "the new topic's answers")
