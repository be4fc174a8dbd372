"""A real schema registry (Apicurio, 142 MB from Maven): its ids on events, our schemas in it, its rules respected."""

import json
import shutil
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from freshet.operate.registration import register, registry_at
from freshet.runtime.publishing import published_schemas
from support.foreign_events import loans_with
from support.ingestion import SCHEMA, framed, loan
from support.services import free_port, until

pytestmark = [pytest.mark.kafka, pytest.mark.readers, pytest.mark.timeout(900)]

ARTIFACT: Final = "io.apicurio:apicurio-registry-app:2.6.13.Final:tar.gz:all"
COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
WIDER: Final = {**SCHEMA, "fields": [*SCHEMA["fields"], {"name": "note", "type": "string", "default": ""}]}


@pytest.fixture(scope="module")
def apicurio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Apicurio in memory, on the loopback interface."""
    if shutil.which("mvn") is None or shutil.which("java") is None:
        pytest.skip("Maven or Java is not installed")
    folder = tmp_path_factory.mktemp("apicurio")
    subprocess.run(
        ["mvn", "-q", "-B", COPY, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={folder}"], check=True, timeout=400
    )
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    (jar,) = folder.glob("*-runner.jar")
    port = free_port()
    options = ["-Xmx512m", "-XX:+UseSerialGC", "-Dquarkus.http.host=127.0.0.1", f"-Dquarkus.http.port={port}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["java", *options, "-jar", str(jar)], cwd=folder, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
    try:
        until(lambda: _answers(f"{url}/subjects"), "Apicurio to answer")
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_its_ids_on_events_and_our_schemas_in_it(apicurio: str, kafka: str, namespace: str, tmp_path: Path) -> None:
    """Confluent's serializer with defaults, two versions of a schema; then all our subjects, twice, and a refusal."""
    registry = SchemaRegistryClient({"url": apicurio})
    with loans_with(apicurio, kafka, namespace, tmp_path) as loans:
        context = SerializationContext(loans.stage.names.topic("events"), MessageField.VALUE)
        plain = AvroSerializer(registry, json.dumps(SCHEMA))
        wider = AvroSerializer(registry, json.dumps(WIDER))
        values = [plain(loan(event_id=f"p{row}"), context) for row in range(20)]
        values += [wider({**loan(event_id=f"w{row}"), "note": "n"}, context) for row in range(20)]
        ids = {int.from_bytes(value[1:5], "big") for value in values}
        assert len(ids) == 2
        assert max(ids) < 1000
        loans.send(values, partition=0)
        until(lambda: loans.count("features") == 40, "features of all events")
        loans.send([framed(loan(), identifier=max(ids) + 500)], partition=0)
        until(lambda: loans.count("dead-letters") == 1, "a dead letter")
        assert loans.count("features") == 40

        records = list(published_schemas(loans.stage.bus).values())
        first = register(registry_at(apicurio, ""), records)
        assert {one.state for one in first} <= {"registered", "there already"}
        assert {one.state for one in register(registry_at(apicurio, ""), records)} == {"there already"}
        subject = f"{loans.stage.names.topic('predictions')}-value"
        assert registry.get_latest_version(subject).schema_id in {one.their_id for one in first}

        registry.set_compatibility(subject, "FULL")
        foreign = {"type": "record", "name": "Prediction", "fields": [{"name": "x", "type": "int"}]}
        prediction = next(record for record in records if record.subject == subject)
        other = type(prediction)(subject, 99, 1, json.dumps(foreign))
        (refused,) = register(registry_at(apicurio, ""), [other])
        assert refused.state == "refused"
        assert refused.why
