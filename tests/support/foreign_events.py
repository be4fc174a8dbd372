"""A pipeline whose events carry the ids of a user's registry, with ingestion running."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import Producer

from freshet.contracts.shipped import pipelines_dir
from freshet.lab.local_deployment import LocalDeployment
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.reading import everything
from support.services import Process


class Loans(NamedTuple):
    """Where events go, and what has become of them so far."""

    stage: LocalDeployment
    kafka: str
    service: Process

    def send(self, values: list[bytes], partition: int) -> None:
        """Write events to one partition."""
        producer = Producer({"bootstrap.servers": self.kafka})
        for value in values:
            producer.produce(self.stage.names.topic("events"), value, b"ada", partition=partition)
        assert producer.flush(30) == 0

    def count(self, role: str) -> int:
        """How many records there are of a role."""
        return sum(len(batch.values) for batch in everything(KafkaBus(self.kafka, self.stage.names), role))


@contextmanager
def loans_with(registry: str, kafka: str, namespace: str, folder: Path) -> Iterator[Loans]:
    """The loans pipeline with this registry, applied, and ingestion as a process."""
    pipeline = shutil.copytree(pipelines_dir() / "loans", folder / "loans")
    with (pipeline / "pipeline.yaml").open("a") as text:
        text.write(f"\nregistry: {registry}\n")
    with LocalDeployment(kafka, namespace, pipeline, folder) as stage:
        stage.apply()
        with Process(kafka, namespace, folder / "log", "ingestion", "--pipelines", "loans") as service:
            yield Loans(stage, kafka, service)
