"""A labelled log on a real Kafka, written by transactions of which some are aborted, and workers of both engines."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from confluent_kafka import Consumer, TopicPartition

from freshet.avro.control import decode, encode
from freshet.contracts.messages import Alarm, Message, PipelineRecord
from freshet.contracts.topic_table import TopicNames
from freshet.detectors.observing import LogRecord
from freshet.drift.core.detect import DetectLogic
from freshet.drift.service import DETECT
from freshet.operate.alarm_log import replay
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.kafka.groups import KafkaGroups, Member
from freshet.runtime.bus.protocol import Bus, Committed, Send, Transaction
from freshet.runtime.clock import SystemClock
from freshet.runtime.data_loop import DataLoop
from freshet.runtime.jobs import InlineJobs
from freshet.runtime.provision import provision
from freshet.runtime.reading import everything
from freshet.runtime.service import Context, DataService, no_jobs
from freshet.runtime.settings import Settings, load_settings
from freshet.runtime.telemetry import Metrics
from support.faults import until
from support.inference import model, specification
from support.labelled_log import PIPELINE, Log, bernoulli

KEPT: Final = DetectLogic.kept.role
_DETECTORS: Final = "detectors: [{kind: adwin}, {kind: promise}]\n"
_A_TRANSACTION: Final = 3
"""Records in each, at most."""


def settings_of(kafka: str, namespace: str, folder: Path, engine: str) -> Settings:
    """Those of a worker."""
    return load_settings(kafka, namespace=namespace, state_dir=folder / "state", drift_engine=engine, slots="elastic")


def data_loop(
    bus: Bus, names: TopicNames, slot: str, *, fixed: bool = False, service: DataService = DETECT
) -> DataLoop:
    """The loop of a worker. In a fixed slot it need not wait until Kafka knows that the last one is dead."""
    return DataLoop(
        service.logic(Context(names, load_settings("unused:1"), bus)),
        bus,
        names,
        service=service.name,
        slot=slot,
        fixed_slot=fixed,
        jobs=InlineJobs(no_jobs),
        clock=SystemClock(),
        metrics=Metrics(),
        references=service.clues,
    )


class WatchedLog:
    """Topics, a specification, an admitted version, and a log that grows."""

    service: ClassVar[DataService] = DETECT
    role: ClassVar[str] = "outcomes"
    """Of the log that the service follows."""

    def __init__(self, kafka: str, namespace: str, folder: Path, *, partitions: int = 3) -> None:
        self.kafka, self.folder = kafka, folder
        self.names = TopicNames(namespace, PIPELINE)
        self.bus, self.admin = KafkaBus(kafka, self.names), KafkaAdmin(kafka)
        self.log = Log(partitions)
        self._chance, self._errors = np.random.default_rng(5), 0
        provision(self.admin, namespace, [(PIPELINE, partitions)])
        self._producer = self.bus.transactional_producer("drift-join", f"test-{self.role}")
        self._producer.open()
        admitted = model("v1")
        promised = admitted.manifest.model_copy(update={"metrics": {"error": 0.1}})
        self._tell("models", f"{PIPELINE}/v1", admitted.model_copy(update={"manifest": promised}))
        record = specification()
        told: PipelineRecord = record.model_copy(update={"spec": record.spec + _DETECTORS})
        self._tell("pipelines", f"{PIPELINE}/1", told)

    def _tell(self, role: str, key: str, message: Message) -> None:
        producer = self.bus.producer()
        producer.send(Send(role, [key.encode()], [encode(message)]))
        producer.close()

    def grow(self, count: int, share: float, *, size: int = 50, aborts: float = 0.2) -> None:
        """So many rows of which this share is wrong, in transactions; some are first aborted, with another order."""
        before = len(self.log.records)
        self._errors += 1
        self.log.errors(bernoulli(self._errors, count, share), size=size)
        new, at = self.log.records[before:], 0
        while at < len(new):
            part = new[at : at + 1 + int(self._chance.integers(_A_TRANSACTION))]
            at += len(part)
            if self._chance.random() < aborts:
                self.write(part[::-1], aborted=True)
            self.write(part)

    def write(self, records: Sequence[LogRecord], *, aborted: bool = False) -> None:
        """Write these in one transaction."""
        self._append([encode(one.record) for one in records], aborted=aborted)

    def _append(self, values: Sequence[bytes], *, aborted: bool = False) -> None:
        send = Send(self.role, [b"0"] * len(values), values)
        if not aborted:
            self._producer.commit(Transaction([send]))
            return
        client = self._producer._client
        client.begin_transaction()
        for value in send.values:
            client.produce(self.names.topic(self.role), value)
        client.flush()
        client.abort_transaction()

    def worker(self, engine: str) -> DataLoop:
        """A new worker in this process."""
        settings = settings_of(self.kafka, self.names.namespace, self.folder, engine)
        bus = self.service.bus(Context(self.names, settings, self.bus))
        return data_loop(bus, self.names, engine, service=self.service)

    def process(self, which: str) -> subprocess.Popen[bytes]:
        """A new worker on Faust in a process of its own: `corrected`, or `stock`. What it logs is in a file."""
        command = [sys.executable, "-m", "support.faust_worker"]
        arguments = [self.kafka, self.names.namespace, str(self.folder), which]
        environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
        with (self.folder / f"{which}.log").open("ab") as log:
            return subprocess.Popen([*command, *arguments], env=environ, stdout=log, stderr=log)

    def drain(self, *loops: DataLoop) -> None:
        """Turn them until all of the log is answered."""

        def done() -> bool:
            for _ in range(20):
                for loop in loops:
                    loop.step(0.02)
            return self.unread() == 0

        until("the log to be read", done)

    def unread(self) -> int:
        """Records of the log behind the committed offset."""
        committed = self.committed()
        records = [record for batch in everything(self.bus, self.role) for record in batch.records]
        return sum(record.offset() >= (committed.offset if committed else 0) for record in records)

    def last_offset(self) -> int:
        """The offset of the last record."""
        return max(int(batch.offsets[-1]) for batch in everything(self.bus, self.role))

    def committed(self) -> Committed | None:
        """What the group has committed."""
        return self.admin.committed(self.names.group(self.service.name), self.names.topic(self.role)).get(0)

    def members(self) -> list[Member]:
        """The members that Kafka counts to the group."""
        return KafkaGroups(self.kafka).members(self.names.group(self.service.name))

    def last_value(self, topic: str) -> bytes | None:
        """The value of the last record of a topic of one partition."""
        reader = Consumer({"bootstrap.servers": self.kafka, "group.id": "test", "isolation.level": "read_committed"})
        try:
            low, end = reader.get_watermark_offsets(TopicPartition(topic, 0), 10)
            reader.assign([TopicPartition(topic, 0, end - 1)] if end > low else [])
            message = reader.poll(10) if end > low else None
            return None if message is None else message.value()
        finally:
            reader.close()

    def records(self, topic: str) -> list[tuple[bytes, bytes]]:
        """Keys and values of all records of a topic of one partition."""
        reader = Consumer({"bootstrap.servers": self.kafka, "group.id": "test", "isolation.level": "read_committed"})
        try:
            low, end = reader.get_watermark_offsets(TopicPartition(topic, 0), 10)
            reader.assign([TopicPartition(topic, 0, low)] if end > low else [])
            found = reader.consume(end - low, 10) if end > low else []
            return [(one.key() or b"", one.value() or b"") for one in found]
        finally:
            reader.close()

    def alarms(self) -> list[bytes]:
        """The alarms as they lie on their topic, of each id the first."""
        values: dict[str, bytes] = {}
        for batch in everything(self.bus, "alarms"):
            for value in batch.values:
                assert value is not None
                alarm = decode("alarms", value)
                assert isinstance(alarm, Alarm)
                values.setdefault(alarm.id, value)
        return list(values.values())

    def alarms_written(self) -> int:
        """How many records the alarms topic has."""
        return sum(map(len, everything(self.bus, "alarms")))

    def truth(self) -> list[bytes]:
        """What a fold of the whole log gives."""
        found: list[Alarm] = list(replay(self.bus, PIPELINE).alarms)
        topic_id = self.bus.topic_id(self.role)
        return [encode(alarm.model_copy(update={f"{self.role}_topic": topic_id})) for alarm in found]

    def states(self) -> list[bytes]:
        """The values of the checkpoints topic, newest last."""
        return [value for batch in everything(self.bus, KEPT) for value in batch.values if value is not None]

    def forget_what_was_said(self) -> None:
        """As if detection had never run: its alarms, its state and its offsets are gone."""
        self.admin.delete([self.names.topic("alarms"), self.names.topic(f"checkpoints/{self.service.name}")])
        groups = KafkaGroups(self.kafka)
        until("the group to be deleted", lambda: not groups.delete_groups([self.names.group(self.service.name)]))
        provision(self.admin, self.names.namespace, [(PIPELINE, self.log.partitions)])
