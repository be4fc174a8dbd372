"""The programs of docs/clients.md in Java, Go, Node and Rust."""

import json
import os
import re
import shutil
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from freshet.avro.own_schemas import current_schema, schema_id
from freshet.lab.local_deployment import LocalDeployment
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.murmur2 import partition_for
from freshet.runtime.bus.protocol import Send, Transaction
from freshet.runtime.reading import everything
from support.buses import KafkaWorld
from support.ingestion import framed, loan

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DOCUMENT = ROOT / "docs/clients.md"
EVENTS: Final = 60
LANGUAGES: Final = ["java", "go", "node", pytest.param("rust", marks=pytest.mark.readers)]  # it builds librdkafka
PARTITION: Final[dict[str, Callable[[bytes, int], int]]] = {"rust": lambda key, count: zlib.crc32(key) % count}
"""Where a language's client puts a key by default, if not where Java does."""


class Program(NamedTuple):
    """A language's program, and its run with these arguments and events."""

    language: str
    run: Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture(scope="module", params=LANGUAGES)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """One language's program, built with that language's usual tool from its public registry."""
    language = request.param
    folder = shutil.copytree(HERE / language, tmp_path_factory.mktemp("client") / language)
    builds = {
        "java": ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"],
        "go": ["go", "build", "-o", "client", "."],
        "node": ["npm", "install", "--no-package-lock", "--silent"],
        "rust": ["cargo", "build", "--quiet"],
    }
    target = ROOT / ".local/readers/rust"
    runs = {
        "java": ["java", "-cp", "lib/*", "Client.java"],
        "go": ["./client"],
        "node": ["node", "client.js"],
        "rust": [str(target / "debug/client")],
    }
    if shutil.which(builds[language][0]) is None:
        pytest.skip(f"{builds[language][0]} is not installed")
    environment = os.environ | {"CARGO_TARGET_DIR": str(target)}
    subprocess.run(builds[language], cwd=folder, check=True, timeout=1500, env=environment)

    def run(*arguments: str, events: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [*runs[language], *arguments], cwd=folder, input=events, capture_output=True, timeout=90, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done

    return Program(language, run)


@pytest.mark.kafka
@pytest.mark.timeout(1800)
def test_events_lie_where_they_should_and_committed_predictions_are_read(
    kafka: str, stage: LocalDeployment, registry_url: str, program: Program
) -> None:
    """Bytes as fastavro writes them, partitions as the client's default; nothing of an aborted transaction is shown."""
    names, loans = stage.names, [loan(event_id=f"e{row}", applicant=f"a{row % 17}") for row in range(EVENTS)]
    lines = "".join(json.dumps(event) + "\n" for event in loans).encode()
    program.run("produce", kafka, registry_url, names.topic("events"), "applicant", events=lines)
    written = [record for batch in everything(KafkaBus(kafka, names), "events") for record in batch.records]
    partitions, partition = len(stage.bus.spans("events")), PARTITION.get(program.language, partition_for)
    assert sorted((record.key(), record.value()) for record in written) == sorted(
        (event["applicant"].encode(), framed(event)) for event in loans
    )
    for record in written:
        key = record.key()
        assert key is not None
        assert record.partition() == partition(key, partitions)

    world = KafkaWorld(kafka, names.namespace, names.pipeline)
    aborted = world.bus.transactional_producer("inference", "0")
    aborted.open()
    world.crash(aborted, _predictions("aborted"), "produced")
    successor = world.bus.transactional_producer("inference", "0")
    successor.open()
    successor.commit(_predictions("committed"))
    successor.close()
    said = program.run("read", kafka, registry_url, names.topic("predictions"), "2").stdout.decode()
    assert re.findall(r"(?:aborted|committed)-\d", said) == ["committed-0", "committed-1"]


def _predictions(name: str) -> Transaction:
    empty = {"string": "", "long": 0, "int": 0, "array": [], "fixed": bytes(16), "TopicId": bytes(16)}
    schema = current_schema("Prediction")
    types = {field["name"]: field["type"] for field in schema["fields"]}
    record = {field: empty[kind if isinstance(kind, str) else kind["type"]] for field, kind in types.items()}
    values = [framed({**record, "event_id": f"{name}-{row}"}, schema, schema_id("Prediction")) for row in range(2)]
    return Transaction([Send("predictions", [b"k"] * 2, values, [0] * 2)])


@pytest.mark.parametrize("file", ["java/Client.java", "go/main.go", "node/client.js", "rust/src/main.rs"])
def test_the_document_shows_these_programs(file: str) -> None:
    """Each piece that it shows in this language stands in the tested program, line for line."""
    fences = {".java": "java", ".go": "go", ".js": "js", ".rs": "rust"}
    text, source = DOCUMENT.read_text(), (HERE / file).read_text()
    shown = re.findall(rf"```{fences[Path(file).suffix]}\n// {file}\n(.*?)```", text, re.DOTALL)
    assert shown, f"{DOCUMENT.name} shows nothing of {file}"
    dedented = [line.strip() for line in source.splitlines()]
    for piece in shown:
        wanted = [line.strip() for line in piece.strip().splitlines()]
        assert any(dedented[at : at + len(wanted)] == wanted for at in range(len(dedented))), piece
