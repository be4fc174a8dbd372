"""Loops on a real Kafka that join and leave all the time; what matters is what a read_committed reader sees."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import pytest

from freshet.contracts.batch import Batch
from freshet.contracts.logic import Effect
from freshet.contracts.topic_table import TopicNames
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.protocol import Send
from freshet.runtime.clock import SystemClock
from freshet.runtime.data_loop import DataLoop
from freshet.runtime.jobs import InlineJobs
from freshet.runtime.metrics.of_services import REWINDS
from freshet.runtime.options import LoopOptions
from freshet.runtime.provision import provision
from freshet.runtime.reading import everything
from freshet.runtime.service import no_jobs
from freshet.runtime.telemetry import Metrics
from support.faults import until
from support.loops import REFERENCE, Answerer, answers

pytestmark = [pytest.mark.kafka, pytest.mark.e2e, pytest.mark.faults]

_PARTITIONS: Final = 6
_CHURN_S: Final = 15.0
_ROWS_PER_S: Final = 1500
_QUICK: Final = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "200"}  # members learn of a rebalance at once


class SlowAnswerer(Answerer):
    """Takes its time over a batch, so that rebalances overtake it."""

    def __init__(self) -> None:
        super().__init__()
        self.answered: list[int] = []

    def on_batch(self, batch: Batch) -> list[Effect]:
        """As always, but late."""
        time.sleep(0.05)
        self.answered.append(len(batch))
        return list(super().on_batch(batch))


@dataclass
class Group:
    """Members in threads of their own: two stay, a third comes and goes."""

    kafka: str
    names: TopicNames
    metrics: Metrics = field(default_factory=Metrics)
    visits: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    errors: list[BaseException] = field(default_factory=list)

    def start(self) -> list[threading.Thread]:
        """All three, until `closing` is set."""
        threads = [threading.Thread(target=self._stay, args=(slot,)) for slot in ("a", "b")]
        threads.append(threading.Thread(target=self._visit))
        for thread in threads:
            thread.start()
        return threads

    def _stay(self, slot: str) -> None:
        self._serve(slot, lambda _: self.closing.is_set())

    def _visit(self) -> None:
        while not self.closing.is_set() and not self.errors:
            self.visits += 1
            self._serve(f"v{self.visits}", lambda logic: len(logic.answered) > 1 or self.closing.is_set())

    def _serve(self, slot: str, leaves: Callable[[SlowAnswerer], bool]) -> None:
        """One life."""
        logic = SlowAnswerer()
        loop = DataLoop(
            logic,
            KafkaBus(self.kafka, self.names, extra=_QUICK),
            self.names,
            service="inference",
            slot=slot,
            fixed_slot=False,
            jobs=InlineJobs(no_jobs),
            clock=SystemClock(),
            metrics=self.metrics,
            references=[REFERENCE],
            options=LoopOptions(batch_rows=500),
        )
        try:
            while not leaves(logic):
                loop.step(0.05)
        except BaseException as error:  # judged by the test
            self.errors.append(error)
        finally:
            loop.close()

    def rewinds(self) -> dict[str, float]:
        """Batches that were dropped, by cause."""
        samples = (sample for metric in self.metrics[REWINDS].collect() for sample in metric.samples)
        return {sample.labels["cause"]: sample.value for sample in samples if sample.name.endswith("_total")}


def test_members_that_come_and_go_answer_every_row_once(kafka: str, namespace: str) -> None:
    """Rebalances in the middle of batches: nothing is lost, nothing answered twice, every partition keeps its order."""
    names = TopicNames(namespace, "p")
    provision(KafkaAdmin(kafka), namespace, [("p", _PARTITIONS)])
    bus, group = KafkaBus(kafka, names), Group(kafka, names)
    threads = group.start()
    try:
        sent = _load(bus, _CHURN_S)
        until("the rest to be answered", lambda: bool(group.errors) or _count(bus, "predictions") >= sent)
    finally:
        group.closing.set()
        for thread in threads:
            thread.join()
    assert not group.errors

    answered = [(partition, offset) for partition, offset, _ in answers(everything(bus, "predictions"))]
    print(f"{sent} rows, {group.visits} visits, batches dropped {group.rewinds()}")  # noqa: T201
    assert sorted(answered) == sorted(
        (record.partition(), record.offset()) for batch in everything(bus, "features") for record in batch.records
    )
    for partition in range(_PARTITIONS):
        offsets = [offset for place, offset in answered if place == partition]
        assert offsets == sorted(offsets)
    assert group.visits > 3
    assert sum(group.rewinds().values()), "no batch was ever dropped: the test was too weak"


def _load(bus: KafkaBus, seconds: float) -> int:
    producer, rows, sent = bus.producer(), _ROWS_PER_S // 10, 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        producer.send(Send("features", [b"k"] * rows, [b"v"] * rows, [row % _PARTITIONS for row in range(rows)]))
        sent += rows
        time.sleep(0.1)
    producer.close()
    return sent


def _count(bus: KafkaBus, role: str) -> int:
    return sum(map(len, everything(bus, role)))
