"""What retraining has made, on a real Kafka: it is made again, and it comes back as a bundle."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from freshet.avro.control import encode
from freshet.cli.main import app
from freshet.cli.output import Exit
from freshet.contracts.messages import Message, PipelineRecord
from freshet.contracts.topic_table import TopicNames
from freshet.ledger.manifest_id import manifest_id
from freshet.models.bundle import Bundle
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.protocol import Send
from freshet.runtime.provision import provision
from support.labelled import PARTITIONS, Log, learnable, records_of, spec_text
from support.signed import KeyRing, signed_version
from support.trained import admitted, finished

pytestmark = pytest.mark.kafka

ROWS = 1500
CUT = 1200


class KafkaLog(Log):
    """The labelled log of pipeline `p`, on a real Kafka."""

    def __init__(self, bus: KafkaBus) -> None:
        self.bus = bus  # type: ignore[assignment]  # all that a log asks of it

    def tell(self, role: str, key: str, message: Message) -> None:
        """Append a record."""
        self.bus.producer().send(Send(role, [key.encode()], [encode(message)]))


@pytest.fixture
def log(kafka: str, namespace: str) -> Iterator[KafkaLog]:
    """With rows that can be learned from, and the pipeline's specification."""
    admin = KafkaAdmin(kafka)
    provision(admin, namespace, [("p", PARTITIONS)])
    made = KafkaLog(KafkaBus(kafka, TopicNames(namespace, "p")))
    for record in records_of(learnable(ROWS)):
        made.tell("outcomes", "0", record)
    made.tell(
        "pipelines",
        "p/1",
        PipelineRecord(pipeline="p", number=1, spec=spec_text(), event_schema="{}", event_schema_id=1),
    )
    yield made
    admin.delete([topic for topic in admin.names() if topic.startswith(namespace)])


Command = Callable[..., Result]


@pytest.fixture
def command(kafka: str, namespace: str) -> Command:
    """A command about the pipeline, with a document as its result."""
    environment = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "FRESHET_NAMESPACE": namespace}
    return lambda *words: CliRunner().invoke(app, [*map(str, words), "--pipeline", "p", "--json"], env=environment)


@pytest.fixture
def reproduce(command: Command) -> Command:
    """`freshet reproduce`."""
    return lambda version: command("reproduce", version)


def test_a_version_is_made_again_or_it_is_said_why_not(log: KafkaLog, reproduce: Command) -> None:
    """Exit code 0 for the same bytes, 4 for others, 2 for what is no version."""
    job, trained = log.job(CUT), log.train(CUT)
    record = finished(job, trained)
    log.tell("trainings", "p", record)
    log.tell("models", "p/1.0.0", admitted(trained))
    same = reproduce("1.0.0")
    assert same.exit_code == Exit.OK, same.output
    assert json.loads(same.stdout)["made"] == trained.digest

    other = record.model_copy(update={"training": "u" * 32, "params": {"balance": "true"}})
    lineage = {**trained.manifest.lineage, "training": other.training}
    model = admitted(trained, "1.1.0")
    log.tell("trainings", "p", other)
    log.tell(
        "models",
        "p/1.1.0",
        model.model_copy(update={"manifest": model.manifest.model_copy(update={"lineage": lineage})}),
    )
    differs = reproduce("1.1.0")
    assert differs.exit_code == Exit.CHECK, differs.output
    assert "this trainer does not repeat itself" in json.loads(differs.stdout)["sentence"]
    assert reproduce("2.0.0").exit_code == Exit.USAGE


def test_a_version_comes_back_as_a_bundle(log: KafkaLog, command: Command, tmp_path: Path) -> None:
    """Its bytes, its manifest to the bit, and its signatures; an unknown version and a folder in use are refused."""
    trained, ring, folder = log.train(CUT), KeyRing(), tmp_path / "bundle"
    record = signed_version(admitted(trained), ring.builder)
    log.tell("models", "p/1.0.0", record)
    done = command("model", "fetch", "1.0.0", "-o", folder)
    assert done.exit_code == Exit.OK, done.output
    told = json.loads(done.stdout)
    assert (told["digest"], told["keys"], told["lineage"]) == (
        trained.digest,
        [ring.builder.id],
        trained.manifest.lineage,
    )
    found = Bundle.load(folder)
    assert (found.manifest, found.signatures) == (trained.manifest, record.signatures)
    assert manifest_id(found.manifest) == manifest_id(trained.manifest)

    assert command("model", "fetch", "1.0.0", "-o", folder).exit_code == Exit.CONFLICT
    assert command("model", "fetch", trained.digest[:9], "-o", folder, "--force").exit_code == Exit.OK
    unknown = command("model", "fetch", "2.0.0", "-o", tmp_path / "other")
    assert unknown.exit_code == Exit.FAILURE
    assert "its versions are: 1.0.0" in json.loads(unknown.stdout)["error"]
    assert not (tmp_path / "other").exists()


def test_a_version_whose_chunks_are_gone_is_told_as_lost(log: KafkaLog, command: Command, tmp_path: Path) -> None:
    """Nothing is written, and the sentence says who can bring it back."""
    gone = admitted(log.train(CUT))
    missing = gone.manifest.model_copy(update={"digest": "0" * 64})
    log.tell("models", "p/1.0.0", gone.model_copy(update={"manifest": missing}))
    done = command("model", "fetch", "1.0.0", "-o", tmp_path / "bundle")
    assert done.exit_code == Exit.FAILURE
    assert "Kafka no longer holds all 1 chunks of 1.0.0" in json.loads(done.stdout)["error"]
    assert not (tmp_path / "bundle").exists()
