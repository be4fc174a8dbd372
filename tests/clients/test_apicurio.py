"""A real schema registry (Apicurio, 142 MB from Maven): its ids on events, our schemas in it, its rules respected."""

import json
import shutil
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from typer.testing import CliRunner

from freshet.cli.main import app
from freshet.lab.local_deployment import LocalDeployment
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


def test_its_ids_on_events(apicurio: str, kafka: str, namespace: str, tmp_path: Path) -> None:
    """Confluent's serializer with its defaults, two versions of a schema; an id that it does not know is refused."""
    now_ms = int(time.time() * 1000)  # ingestion holds event times against the broker's clock
    with (
        SchemaRegistryClient({"url": apicurio}) as registry,
        loans_with(apicurio, kafka, namespace, tmp_path) as loans,
    ):
        context = SerializationContext(loans.stage.names.topic("events"), MessageField.VALUE)
        plain = AvroSerializer(registry, json.dumps(SCHEMA))
        wider = AvroSerializer(registry, json.dumps(WIDER))
        values = [plain(loan(event_id=f"p{row}", at=now_ms), context) for row in range(20)]
        values += [wider({**loan(event_id=f"w{row}", at=now_ms), "note": "n"}, context) for row in range(20)]
        ids = {int.from_bytes(value[1:5], "big") for value in values}
        assert len(ids) == 2
        assert max(ids) < 1000
        loans.send(values, partition=0)
        until(lambda: loans.count("features") == 40, "features of all events")
        command = ["topic", "tail", "events", "--pipeline", "loans", "-n", "40", "--json"]
        done = CliRunner().invoke(app, [*command, "--namespace", namespace, "--bootstrap", kafka])
        shown = [json.loads(line)["value"]["event_id"] for line in done.stdout.splitlines()]
        assert sorted(shown) == sorted(f"{letter}{row}" for letter in "pw" for row in range(20))
        loans.send([framed(loan(at=now_ms), identifier=max(ids) + 500)], partition=0)
        until(lambda: loans.count("dead-letters") == 1, "a dead letter")
        assert loans.count("features") == 40


def test_our_schemas_go_into_it_under_its_rule(
    apicurio: str, kafka: str, namespace: str, stage: LocalDeployment
) -> None:
    """All subjects, twice; what its rule of compatibility refuses is left out, and told with its own words."""
    taken, free = (f"{stage.names.topic(role)}-value" for role in ("predictions", "features"))
    foreign = {"type": "record", "name": "Prediction", "fields": [{"name": "x", "type": "int"}]}
    command = ["schemas", "publish", "--registry", apicurio, "--namespace", namespace, "--bootstrap", kafka, "--json"]

    def publish() -> list[dict[str, Any]]:
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 5, done.output
        return list(json.loads(done.stdout))

    with SchemaRegistryClient({"url": apicurio}) as registry:
        registry.register_schema(taken, Schema(json.dumps(foreign), "AVRO"))
        registry.set_compatibility(taken, "FULL")
        first = publish()
        assert {one["state"] for one in first if one["subject"] == taken} == {"refused"}
        assert all(one["why"] for one in first if one["subject"] == taken)
        assert {one["state"] for one in first if one["subject"] != taken} == {"registered"}
        assert {one["state"] for one in publish() if one["subject"] != taken} == {"there already"}
        assert (
            registry.get_latest_version(free).schema_id
            == [one for one in first if one["subject"] == free][-1]["registry_id"]
        )
        assert registry.get_versions(taken) == [1]
