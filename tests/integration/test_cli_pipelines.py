"""`freshet topics`, `apply`, `pipeline list` and `schemas publish` on a real Kafka, as a person or script runs them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from freshet.cli import pipeline, schemas, topics
from freshet.cli.apply import apply
from freshet.cli.output import Exit
from freshet.contracts.shipped import pipelines_dir
from freshet.contracts.topic_table import TopicNames
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.protocol import Send

pytestmark = pytest.mark.kafka

Freshet = Callable[..., Result]


@pytest.fixture
def freshet(kafka: str, namespace: str) -> Freshet:
    """Runs a command on the session's broker, in this test's namespace."""
    app = typer.Typer()
    app.add_typer(topics.app, name="topics")
    app.add_typer(schemas.app, name="schemas")
    app.add_typer(pipeline.app, name="pipeline")
    app.command("apply")(apply)
    environment = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "FRESHET_NAMESPACE": namespace}
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)), env=environment)


@pytest.fixture
def loans(tmp_path: Path) -> Path:
    """A copy of the shipped pipeline, to be changed."""
    return Path(shutil.copytree(pipelines_dir() / "loans", tmp_path / "loans"))


def document(result: Result, code: Exit = Exit.OK) -> Any:
    """The JSON document on stdout, of a command that ended with this code."""
    assert result.exit_code == code, result.stderr
    return json.loads(result.stdout)


def append_rule(folder: Path, line: str) -> None:
    """Add a rule to the pipeline."""
    file = folder / "pipeline.yaml"
    file.write_text(file.read_text().replace("rules:\n", f"rules:\n  - {line}\n"))


def test_a_folder_becomes_a_pipeline(freshet: Freshet, loans: Path) -> None:
    """One `apply` makes topics, schemas and the pipeline; the second says unchanged; a change is the next number."""
    first = document(freshet("apply", "-f", loans, "--json"))
    assert (first["number"], first["changed"]) == (1, True)
    again = document(freshet("apply", "-f", loans, "--json"))
    assert (again["number"], again["changed"], again["schemas_published"]) == (1, False, 0)
    assert {step["action"] for step in document(freshet("topics", "plan", "--json"))} == {"ok"}
    append_rule(loans, "{field: loan, max: 5000000}")
    assert document(freshet("apply", "-f", loans, "--json"))["number"] == 2
    listed = document(freshet("pipeline", "list", "--json"))
    assert [(row["pipeline"], row["number"]) for row in listed] == [("loans", 2)]
    assert document(freshet("schemas", "publish", "--json")) == []


def test_a_strangers_record_hides_no_pipeline(freshet: Freshet, loans: Path, kafka: str, namespace: str) -> None:
    """`pipeline list` reads only, so it leaves out what cannot be read."""
    assert freshet("apply", "-f", loans).exit_code == Exit.OK
    producer = KafkaBus(kafka, TopicNames(namespace)).producer()
    producer.send(Send("pipelines", [b"stranger"], [b"{}"]))
    producer.close()
    listed = document(freshet("pipeline", "list", "--json"))
    assert [row["pipeline"] for row in listed] == ["loans"]


def test_a_conflict_exits_with_5_and_says_why(freshet: Freshet, loans: Path) -> None:
    """Another number of partitions or an incompatible event is refused, and the published pipeline stays."""
    assert freshet("apply", "-f", loans).exit_code == Exit.OK
    text = (loans / "pipeline.yaml").read_text()
    (loans / "pipeline.yaml").write_text(text + "partitions: 12\n")
    refused = freshet("apply", "-f", loans)
    assert refused.exit_code == Exit.CONFLICT
    assert "partitions may not change from 6 to 12" in refused.stderr
    assert refused.stdout == ""
    assert document(freshet("pipeline", "list", "--json"))[0]["partitions"] == 6
    assert freshet("topics", "plan", "--pipeline", "loans=12").exit_code == Exit.CONFLICT


def test_a_topic_of_somebody_elses_is_a_conflict(freshet: Freshet, loans: Path, kafka: str, namespace: str) -> None:
    """Their settings stay, and nothing is published, until --adopt says that they may be changed."""
    admin, theirs = KafkaAdmin(kafka), f"{namespace}loans.events"
    admin.create(theirs, 6, {"cleanup.policy": "compact"})
    refused = freshet("apply", "-f", loans)
    assert refused.exit_code == Exit.CONFLICT
    assert "was cleanup.policy=compact" in refused.stderr
    assert "--adopt" in refused.stderr
    assert freshet("topics", "plan", "--pipeline", "loans=6").exit_code == Exit.CONFLICT
    assert freshet("topics", "apply", "--pipeline", "loans=6").exit_code == Exit.CONFLICT
    assert admin.describe([theirs])[theirs].configs["cleanup.policy"] == "compact"
    assert freshet("apply", "-f", loans, "--adopt").exit_code == Exit.OK
    assert admin.describe([theirs])[theirs].configs["cleanup.policy"] == "delete"
    assert document(freshet("pipeline", "list", "--json"))[0]["pipeline"] == "loans"


def test_problems_of_the_folder_exit_with_4(freshet: Freshet, loans: Path) -> None:
    """A pipeline that cannot run is told by file and line before anything is made on the cluster."""
    append_rule(loans, "{field: lone, max: 1}")
    refused = freshet("apply", "-f", loans)
    assert refused.exit_code == Exit.CHECK
    assert "pipeline.yaml:" in refused.stderr
    assert "Did you mean 'loan'?" in refused.stderr
    assert {step["action"] for step in document(freshet("topics", "plan", "--json"))} == {"create"}


def test_topics_before_pipelines(freshet: Freshet) -> None:
    """An administrator may make a pipeline's topics before it is published, by giving its partitions."""
    unknown = freshet("topics", "apply", "--pipeline", "loans")
    assert unknown.exit_code == Exit.FAILURE
    assert "--pipeline loans=6" in unknown.stderr
    steps = document(freshet("topics", "apply", "--pipeline", "loans=2", "--json"))
    made = {step["topic"].partition(".loans.")[2]: step["partitions"] for step in steps if ".loans." in step["topic"]}
    assert made.pop("outcomes") == made.pop("profiles") == 1
    assert set(made.values()) == {2}
    assert {step["action"] for step in document(freshet("topics", "plan", "--pipeline", "loans=2", "--json"))} == {"ok"}
