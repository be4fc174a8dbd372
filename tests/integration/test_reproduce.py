"""`freshet reproduce` on a real Kafka: the command, from what the topics say."""

import json
from collections.abc import Callable, Iterator

import pytest
from typer.testing import CliRunner, Result

from freshet.avro.control import encode
from freshet.cli.main import app
from freshet.cli.output import Exit
from freshet.contracts.messages import Message, PipelineRecord
from freshet.contracts.topic_table import TopicNames
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.protocol import Send
from freshet.runtime.provision import provision
from support.labelled import PARTITIONS, Log, learnable, records_of, spec_text
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


@pytest.fixture
def reproduce(kafka: str, namespace: str) -> Callable[[str], Result]:
    """The command."""
    environment = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "FRESHET_NAMESPACE": namespace}
    words = ("--pipeline", "p", "--json")
    return lambda version: CliRunner().invoke(app, ["reproduce", version, *words], env=environment)


def test_a_version_is_made_again_or_it_is_said_why_not(log: KafkaLog, reproduce: Callable[[str], Result]) -> None:
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
