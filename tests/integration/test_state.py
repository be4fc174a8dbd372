"""A logic with state on a real Kafka: workers come and go, and each entity is counted as by one that never did."""

from collections.abc import Callable

import numpy as np
import pytest

from freshet.avro import Decoder, Strings
from freshet.avro.schemas import current_schema
from freshet.contracts.batch import Batch
from freshet.contracts.topics import TopicNames, stanza
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.protocol import Send
from freshet.runtime.clock import SystemClock
from freshet.runtime.data_loop import DataLoop
from freshet.runtime.jobs import InlineJobs
from freshet.runtime.options import LoopOptions
from freshet.runtime.provision import provision
from freshet.runtime.reading import everything
from freshet.runtime.telemetry import Metrics
from freshet.runtime.topic_plan import topic_configs
from support.faults import until
from support.loops import REFERENCE
from support.stateful import INPUTS, KINDS, SERVICE, Counter

pytestmark = pytest.mark.kafka

_PARTITIONS = 3
_QUICK = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "200"}  # members learn of a rebalance at once
_METRICS = Metrics()


class Pipeline:
    """Topics, rows, and workers that are turned one after the other."""

    def __init__(self, kafka: str, namespace: str, kind: type[Counter]) -> None:
        self.kafka, self.kind, self.names = kafka, kind, TopicNames(namespace, "p")
        admin = KafkaAdmin(kafka)
        provision(admin, namespace, [("p", _PARTITIONS)])
        for role in (f"checkpoints/{SERVICE}", f"slabs/{SERVICE}"):
            admin.create(self.names.topic(role), _PARTITIONS, topic_configs(stanza(role)))
        self.bus = KafkaBus(kafka, self.names)
        self.producer = self.bus.producer()
        self.fed = 0

    def feed(self, rows: int) -> None:
        """So many rows of each input in each partition."""
        for role in INPUTS:
            for partition in range(_PARTITIONS):
                keys = [b"abc"[row % 3 :][:1] for row in range(rows)]
                self.producer.send(Send(role, keys, [b"v"] * rows, [partition] * rows))
        self.fed += rows * _PARTITIONS

    def worker(self, slot: str) -> DataLoop:
        """A new member."""
        return DataLoop(
            self.kind(),
            KafkaBus(self.kafka, self.names, extra=_QUICK),
            self.names,
            service=SERVICE,
            slot=slot,
            fixed_slot=False,
            jobs=InlineJobs(lambda job, _stop: job),
            clock=SystemClock(),
            metrics=_METRICS,
            references=[REFERENCE],
            options=LoopOptions(batch_rows=7),
        )

    def drain(self, *loops: DataLoop) -> None:
        """Turn them until every row is answered, and all is restored and read."""
        until("all to be answered", self._turned(loops))

    def _turned(self, loops: tuple[DataLoop, ...]) -> Callable[[], bool]:
        def done() -> bool:
            for _ in range(10):
                for loop in loops:
                    loop.step(0.02)
            states = [loop.logic for loop in loops if loop.unready() is None]
            rows = sum(_rows(logic) for logic in states if isinstance(logic, Counter))
            return len(self.answers()) >= self.fed and rows >= self.fed * len(INPUTS)

        return done

    def answers(self) -> list[tuple[int, int, str]]:
        """(partition, offset, count) of every answer."""
        decoder, found = Decoder(current_schema("Prediction")), list[tuple[int, int, str]]()
        for batch in everything(self.bus, "predictions"):
            columns = decoder.decode(batch.values).columns
            places = (np.asarray(columns[name]).tolist() for name in ("features_partition", "features_offset"))
            labels = columns["label"]
            assert isinstance(labels, Strings)
            found += zip(*places, [text.decode() for text in labels.tobytes()], strict=True)
        return sorted(found)

    def expected(self, partition: int) -> bytes:
        """The state of one who takes in the inputs as they lie in the log."""
        logic = self.kind()
        logic.begin(partition)
        for role in INPUTS:
            for batch in everything(self.bus, role):
                records = [record for record in batch.records if record.partition() == partition]
                if records:
                    logic.take_in(Batch(role, records), logic.plan)
        return logic.dump(partition)


def _rows(logic: Counter) -> int:
    return sum(len(log.rows) for logs in logic.states.values() for log in logs.values())


@pytest.mark.parametrize("kind", KINDS)
def test_state_moves_with_its_partitions(kafka: str, namespace: str, kind: type[Counter]) -> None:
    """One worker, then two, then the other alone, then a third that restores everything: counts go on without a gap."""
    pipeline = Pipeline(kafka, namespace, kind)
    first = pipeline.worker("a")
    pipeline.feed(20)
    pipeline.drain(first)
    second = pipeline.worker("b")
    pipeline.feed(20)
    pipeline.drain(first, second)
    first.close()
    pipeline.feed(20)
    pipeline.drain(second)
    second.close()
    third = pipeline.worker("c")
    pipeline.feed(5)
    pipeline.drain(third)
    assert isinstance(third.logic, Counter)
    assert [third.logic.dump(n) for n in range(_PARTITIONS)] == [pipeline.expected(n) for n in range(_PARTITIONS)]
    third.close()
    pipeline.producer.close()
    answers = pipeline.answers()
    assert len(answers) == len({answer[:2] for answer in answers}) == 65 * _PARTITIONS
    counts: dict[tuple[int, str], int] = {}
    for partition, _, said in answers:
        entity, count = said.split("=")
        counts[partition, entity] = counts.get((partition, entity), 0) + 1
        assert int(count) == counts[partition, entity]
    if kind.kept is not None:
        assert any(everything(pipeline.bus, kind.kept.role)), "nothing was kept"
