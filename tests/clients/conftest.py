"""The loans pipeline, applied, and its schemas served as a registry; no service runs."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from freshet.contracts.shipped import pipelines_dir
from freshet.contracts.topic_table import TopicNames
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate.schema_server import SchemaServer
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.publishing import published_schemas


@pytest.fixture
def stage(kafka: str, namespace: str, tmp_path: Path) -> Iterator[LocalDeployment]:
    """The loans pipeline, applied."""
    with LocalDeployment(kafka, namespace, pipelines_dir() / "loans", tmp_path) as applied:
        applied.apply()
        yield applied


@pytest.fixture
def registry_url(kafka: str, stage: LocalDeployment) -> Iterator[str]:
    """Where the schemas of this namespace are served."""
    bus = KafkaBus(kafka, TopicNames(stage.names.namespace))
    with closing(SchemaServer("127.0.0.1", 0, lambda: published_schemas(bus))) as server:
        threading.Thread(target=server.serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.port}"
