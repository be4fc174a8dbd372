"""On a real broker whose dead-letters topic takes less than our table says, no event stops its pipeline."""

from collections.abc import Iterable

import numpy as np
import pytest
from confluent_kafka import Producer

from freshet.contracts.batch import Batch
from freshet.contracts.logic import DeadLetter, Effect, Logic
from freshet.contracts.topic_table import TopicNames, topic_table
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.clock import SystemClock
from freshet.runtime.data_loop import DataLoop
from freshet.runtime.jobs import InlineJobs
from freshet.runtime.reading import everything
from freshet.runtime.service import no_jobs
from freshet.runtime.telemetry import Metrics
from freshet.runtime.topic_plan import topic_configs
from support.buses import until

pytestmark = pytest.mark.kafka


class Refusing(Logic):
    """Sets every event aside."""

    reads = ("events",)

    def on_batch(self, batch: Batch) -> Iterable[Effect]:
        """One letter a row."""
        return [DeadLetter(np.arange(len(batch)), "input_test", ["a test says so"] * len(batch))]


def test_an_event_that_its_dead_letter_cannot_hold_costs_one_truncated_letter(kafka: str, namespace: str) -> None:
    """1,048,308 bytes are legal for events; with its context it is more than 1 MiB. What lies behind it is answered."""
    names = TopicNames(namespace, "p")
    admin = KafkaAdmin(kafka)
    for role, cap in (("events", None), ("dead-letters", "1048576")):
        configs = dict(topic_configs(topic_table()[role]))
        admin.create(names.topic(role), 1, configs | ({"max.message.bytes": cap} if cap else {}))
    bus = KafkaBus(kafka, names, transaction_timeout_ms=5000)
    loop = DataLoop(
        Refusing(),
        bus,
        names,
        service="ingestion",
        slot="0",
        fixed_slot=True,
        jobs=InlineJobs(no_jobs),
        clock=SystemClock(),
        metrics=Metrics(),
    )
    producer = Producer({"bootstrap.servers": kafka, "message.max.bytes": 2_000_000})
    for value in (b"before", b"y" * 1_048_308, b"behind"):
        producer.produce(names.topic("events"), value, b"card", 0)
    producer.flush(10)

    def letters() -> list[bytes | None]:
        loop.step(0.1)
        return [record.value() for batch in everything(bus, "dead-letters") for record in batch.records]

    until(lambda: len(letters()) == 3)
    assert letters() == [b"before", b"y" * 4096, b"behind"]
    loop.close()
