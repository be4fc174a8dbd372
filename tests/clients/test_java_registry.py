"""Confluent's Java client of a schema registry (as Flink ships it), and Flink's deserializer, on our schemas."""

import shutil
import subprocess
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from freshet.avro.own_schemas import current_schema, event_schema_id, schema_id
from freshet.lab.local_deployment import LocalDeployment
from support.ingestion import SCHEMA, framed, loan

pytestmark = [pytest.mark.kafka, pytest.mark.readers, pytest.mark.timeout(900)]

HERE: Final = Path(__file__).parent / "java_registry"
MISSING: Final = 40401
READ_ONLY: Final = 42205

Java = Callable[..., str]


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> Java:
    """The program, with its libraries from Maven; what it prints."""
    if shutil.which("mvn") is None or shutil.which("java") is None:
        pytest.skip("Maven or Java is not installed")
    folder = shutil.copytree(HERE, tmp_path_factory.mktemp("java") / "registry")
    copy = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
    subprocess.run(copy, cwd=folder, check=True, timeout=400)

    def run(*arguments: str, lines: str = "") -> str:
        command = ["java", "-cp", "lib/*", "Registry.java", *arguments]
        done = subprocess.run(
            command, cwd=folder, input=lines, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_a_stock_deserializer_reads_our_records(java: Java, stage: LocalDeployment, registry_url: str) -> None:
    """Events with the id of `freshet apply`, and records of our own, each found by its id alone."""
    events, feedback = (f"{stage.names.topic(role)}-value" for role in ("events", "feedback"))
    known = {"event_id": "e", "entity": "d", "label": "approved", "labelled_at": 5, "revision": 0}
    label = framed(known, current_schema("Feedback"), schema_id("Feedback"))
    for subject, value, wanted in (
        (events, framed(loan(event_id="e1"), identifier=event_schema_id(SCHEMA)), '"event_id": "e1"'),
        (feedback, label, '"label": "approved"'),
    ):
        assert wanted in java("read", registry_url, subject, lines=f"{b64encode(value).decode()}\n")


def test_the_calls_of_akhq_and_kafka_ui_are_answered(java: Java, stage: LocalDeployment, registry_url: str) -> None:
    """Confluent's client understands each answer; what would write is refused with its error codes."""
    subject = f"{stage.names.topic('predictions')}-value"
    said = dict(line.split(": ", 1) for line in java("calls", registry_url, subject).splitlines())
    yes = ("subjects", "prefix", "version", "schema only", "id", "by id", "registered", "id of schema")
    assert {what: said.pop(what) for what in yes} == dict.fromkeys(yes, "true")
    versions = said.pop("versions")
    assert said == {
        "type": "AVRO",
        "config": "FULL_TRANSITIVE",
        "global config": "FULL_TRANSITIVE",
        "mode": "READONLY",
        "types": "[AVRO]",
        "id of": f"[{subject}]",
        "places of": "1",
        "referenced": "[]",
        "look-up": versions.strip("[]").rpartition(" ")[2],
        "compatible": "[]",
        "incompatible": "false",
        "missing": str(MISSING),
        "register": str(READ_ONLY),
        "delete": str(READ_ONLY),
        "configure": str(READ_ONLY),
        "by subject and id": "AVRO",
    }
