"""The counter's pipeline on a real Kafka: its topics, rows, and what came of them."""

from typing import Final

from freshet.contracts.batch import Batch
from freshet.contracts.topic_table import TopicNames, stanza
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.protocol import Send
from freshet.runtime.provision import provision
from freshet.runtime.reading import everything
from freshet.runtime.topic_plan import topic_configs
from support.loops import answers
from support.stateful import INPUTS, SERVICE, Counter

PARTITIONS: Final = 3
QUICK: Final = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "200"}  # members learn of a rebalance at once


class CounterPipeline:
    """Topics and rows; workers are the test's own."""

    def __init__(self, kafka: str, namespace: str, kind: type[Counter]) -> None:
        self.kafka, self.kind, self.names = kafka, kind, TopicNames(namespace, "p")
        admin = KafkaAdmin(kafka)
        provision(admin, namespace, [("p", PARTITIONS)])
        for role in (f"checkpoints/{SERVICE}", f"slabs/{SERVICE}"):
            admin.create(self.names.topic(role), PARTITIONS, topic_configs(stanza(role)))
        self.bus = KafkaBus(kafka, self.names)
        self.producer = self.bus.producer()
        self.fed = 0
        """Rows of each input."""

    def feed(self, rows: int) -> None:
        """So many rows of each input in each partition."""
        for role in INPUTS:
            for partition in range(PARTITIONS):
                keys = [b"abc"[row % 3 :][:1] for row in range(rows)]
                self.producer.send(Send(role, keys, [b"v"] * rows, [partition] * rows))
        self.fed += rows * PARTITIONS

    def answers(self) -> list[tuple[int, int, str]]:
        """(partition, offset, count) of every answer."""
        return sorted(answers(everything(self.bus, "predictions")))

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
