"""On a real Kafka: topics that are deleted and made anew, or grown, under loops that run."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]

from freshet.avro import Strings
from freshet.avro.control import encode
from freshet.avro.framed import FramedReader
from freshet.contracts.logic import Logic
from freshet.contracts.topic_id import to_text
from freshet.contracts.topic_table import TopicNames, topic_table
from freshet.ingestion.core.logic import IngestionLogic
from freshet.ingestion.service import SERVICE as INGESTION
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.protocol import FatalError, RetriableError, Send
from freshet.runtime.clock import SystemClock
from freshet.runtime.data_loop import DataLoop
from freshet.runtime.jobs import InlineJobs
from freshet.runtime.provision import provision
from freshet.runtime.reading import everything
from freshet.runtime.recovery import InputReference
from freshet.runtime.service import no_jobs
from freshet.runtime.telemetry import Metrics
from freshet.runtime.topic_plan import topic_configs
from support.ingestion import applied, framed, framed_feedback, loan
from support.loops import REFERENCE, Answerer

pytestmark = pytest.mark.kafka

_PATIENCE_S = 60.0


class Stage:
    """A pipeline of two partitions on the shared broker, and one service on it whose process is started again."""

    def __init__(self, bootstrap_servers: str, namespace: str, service: str) -> None:
        self.names = TopicNames(namespace, "loans")
        self.admin = KafkaAdmin(bootstrap_servers)
        self.client = AdminClient({"bootstrap.servers": bootstrap_servers})
        provision(self.admin, namespace, [("loans", 2)])
        self.bus = KafkaBus(bootstrap_servers, self.names, transaction_timeout_ms=5000)
        self.producer = self.bus.producer()
        record = applied().message
        assert record is not None
        self.producer.send(Send("pipelines", [b"loans/1"], [encode(record)]))
        self.service = service
        self.stops: list[str] = []
        self.loop = self.started()

    def started(self) -> DataLoop:
        """A new process."""
        logic: Logic = Answerer() if self.service == "inference" else IngestionLogic("loans")
        references: tuple[InputReference, ...] = (REFERENCE,) if self.service == "inference" else INGESTION.references
        return DataLoop(
            logic,
            self.bus,
            self.names,
            service=self.service,
            slot="0",
            fixed_slot=True,
            jobs=InlineJobs(no_jobs),
            clock=SystemClock(),
            metrics=Metrics(),
            references=references,
        )

    def until(self, what: Callable[[], bool], seconds: float = _PATIENCE_S) -> None:
        """Turn the loop until it is so; one that stops is started again, as by its supervisor."""
        end = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < end, f"not within {seconds} s: {self.loop.unready()}; stops: {self.stops}"
            try:
                self.loop.step(0.05)
            except FatalError as error:
                self.stops.append(str(error))
                self.loop.close()
                self.loop = self.started()

    def meanwhile(self, work: Callable[[], None]) -> None:
        """Turn the loop all the time while this work is done."""
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(work)
            self.until(done.done)
            done.result()

    def feed(self, role: str, count: int, partition: int = 0) -> None:
        """Records of an input topic."""
        now_ms = int(time.time() * 1000)
        values: dict[str, Callable[[int], bytes]] = {
            "events": lambda row: framed(loan(event_id=f"e{row}", at=now_ms)),
            "feedback": lambda row: framed_feedback(event_id=f"e{row}", labelled_at=now_ms),
            "features": lambda _: b"v",
        }
        made = [values[role](row) for row in range(count)]
        producer = self.bus.producer()  # a fresh one: it knows nothing of an earlier topic
        producer.send(Send(role, [b"k"] * count, made, [partition] * count))
        producer.close()

    def make_anew(self, role: str, pause_s: float = 0.0, partitions: int = 2) -> None:
        """Delete the topic, and make it again: as fast as the broker lets us, or after a pause."""
        stanza, old = topic_table()[role], self.bus.topic_id(role)
        self.admin.delete([self.names.topic(role)])
        time.sleep(pause_s)
        while self.bus.topic_id(role) in {"", old}:
            try:
                self.admin.create(self.names.topic(role), partitions, topic_configs(stanza))
            except (KafkaException, FatalError, RetriableError):
                time.sleep(0.02)

    def answers(self, reference: InputReference) -> list[tuple[str, int, int]]:
        """Topic id, partition and offset of everything answered with data, ascending."""
        found: list[tuple[str, int, int]] = []
        reader = FramedReader.of(reference.record, max_bytes=1 << 20)
        for batch in everything(self.bus, reference.output):
            columns = reader.read(batch.values).columns
            topics = columns[reference.topic]
            assert isinstance(topics, Strings)
            places = (np.asarray(columns[name]).tolist() for name in (reference.partition, reference.offset))
            found += zip(map(to_text, topics.tobytes()), *places, strict=True)
        return sorted(found)


INPUTS = [("inference", REFERENCE), *(("ingestion", reference) for reference in INGESTION.references)]


@pytest.mark.parametrize(
    ("service", "reference"),
    [
        pytest.param(*INPUTS[0], marks=pytest.mark.faults, id="features"),  # half a minute each
        pytest.param(*INPUTS[1], id="events"),
        pytest.param(*INPUTS[2], marks=pytest.mark.faults, id="feedback"),
    ],
)
def test_a_topic_made_anew_again_and_again_under_a_running_loop(
    kafka: str, namespace: str, service: str, reference: InputReference
) -> None:
    """Every row of every life has exactly one answer, which names its life; the process stops with one sentence."""
    stage = Stage(kafka, namespace, service)
    expected: list[tuple[str, int, int]] = []
    stage.until(lambda: stage.loop.unready() is None)
    stage.feed(reference.input, 5)
    for before, rows in ((5, 12), (12, 40), (40, 3), (3, 30)):
        topic_id = stage.bus.topic_id(reference.input)
        expected = sorted(expected + [(topic_id, 0, row) for row in range(before)])
        stage.until(lambda: len(stage.answers(reference)) >= len(expected))  # noqa: B023
        assert stage.answers(reference) == expected

        def change(rows: int = rows) -> None:
            # After the pause the client looks for the topic so seldom that it finds it with its records there.
            stage.make_anew(reference.input, pause_s=2.0)
            stage.feed(reference.input, rows)

        stage.meanwhile(change)
    expected = sorted(expected + [(stage.bus.topic_id(reference.input), 0, row) for row in range(30)])
    stage.until(lambda: len(stage.answers(reference)) >= len(expected))
    assert stage.answers(reference) == expected
    assert any("made anew while it was read" in why for why in stage.stops), stage.stops
    assert all("made anew" in why for why in stage.stops), stage.stops
    stage.loop.close()


def test_a_topic_made_anew_while_the_service_is_stopped(kafka: str, namespace: str) -> None:
    """Longer than what was answered of the old one: none of its first rows is passed over."""
    stage = Stage(kafka, namespace, "ingestion")
    reference = INGESTION.references[0]
    stage.feed("events", 5)
    stage.until(lambda: len(stage.answers(reference)) == 5)
    stage.loop.close()
    stage.make_anew("events")
    stage.feed("events", 12)
    stage.loop = stage.started()
    stage.until(lambda: len(stage.answers(reference)) >= 17)
    new = stage.bus.topic_id("events")
    assert [offset for topic, _, offset in stage.answers(reference) if topic == new] == list(range(12))
    assert stage.stops == []
    stage.loop.close()


def test_a_topic_grown_by_hand(kafka: str, namespace: str) -> None:
    """A bad event in the new partition stops nothing: it is not read before it could be set aside."""
    stage = Stage(kafka, namespace, "ingestion")
    reference = INGESTION.references[0]
    topic = stage.names.topic("events")
    stage.client.create_partitions([NewPartitions(topic, 3)])[topic].result()
    stage.until(lambda: len(stage.client.list_topics(topic).topics[topic].partitions) == 3)
    stage.loop.close()  # else it would see the new partition with its next look at the metadata, minutes later
    stage.loop = stage.started()
    stage.until(lambda: "events/2 waits" in (stage.loop.unready() or ""))
    producer = stage.bus.producer()
    producer.send(Send("events", [b"k"], [b"garbage"], [2]))
    stage.feed("events", 5)
    stage.until(lambda: len(stage.answers(reference)) == 5)
    assert stage.stops == []
    assert "features has only 2 partitions" in (stage.loop.unready() or "")
    stage.loop.close()


def test_an_output_made_anew_with_fewer_partitions(kafka: str, namespace: str) -> None:
    """The partition without a counterpart waits and says so, with rows at hand too, and is answered once it has one."""
    stage = Stage(kafka, namespace, "inference")

    def feed(count: int) -> None:
        for partition in (0, 1):
            stage.feed("features", count, partition)

    feed(5)
    stage.until(lambda: len(stage.answers(REFERENCE)) == 10)
    stage.meanwhile(lambda: stage.make_anew("predictions", partitions=1))
    feed(3)
    stage.until(lambda: "features/1 waits: predictions has only 1 partitions" in (stage.loop.unready() or ""))
    stage.until(lambda: len(stage.answers(REFERENCE)) == 3)
    topic = stage.names.topic("predictions")
    stage.client.create_partitions([NewPartitions(topic, 2)])[topic].result()
    stage.until(lambda: len(stage.answers(REFERENCE)) == 6)
    assert [answer[1:] for answer in stage.answers(REFERENCE)] == [(at, row) for at in (0, 1) for row in (5, 6, 7)]
    stage.until(lambda: stage.loop.unready() is None)
    assert stage.stops == []
    stage.loop.close()
