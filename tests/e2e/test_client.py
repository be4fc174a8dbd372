"""Python's client, `freshet predict` and `freshet pipeline delete` around one pipeline that really runs."""

import json
import secrets
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from freshet.cli import pipeline
from freshet.cli.apply import apply
from freshet.cli.predict import predict
from freshet.client import Client, NotAnsweredError, RowError
from freshet.contracts.shipped import pipelines_dir
from freshet.lab.demo import loans
from freshet.lab.demo.training import train
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate.connection import connect
from freshet.operate.deletion import delete_namespace
from freshet.operate.event_values import plain
from freshet.operate.tables.features import feature_rows
from freshet.operate.verify.collect import collect
from freshet.operate.verify.judge import judge
from freshet.runtime.bus.kafka.groups import KafkaGroups
from freshet.runtime.settings import load_settings

pytestmark = [pytest.mark.kafka, pytest.mark.e2e, pytest.mark.timeout(600)]

ROWS = 400
NAMESPACE = f"c{secrets.token_hex(3)}."
FOLDER = pipelines_dir() / "loans"


@pytest.fixture(scope="module")
def stage(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalDeployment]:
    """All services of `loans`, for the tests of this file in their order."""
    with LocalDeployment(kafka, NAMESPACE, FOLDER, tmp_path_factory.mktemp("logs"), workers=1) as made:
        yield made
    delete_namespace(connect(load_settings(kafka, namespace=made.names.namespace)))
    assert not [name for name in KafkaGroups(kafka).names() if name.startswith(NAMESPACE)]


@pytest.fixture(scope="module")
def client(kafka: str) -> Iterator[Client]:
    """A notebook's."""
    with Client(kafka, namespace=NAMESPACE) as made:
        yield made


def freshet(kafka: str, *arguments: str) -> Result:
    """A command on that namespace."""
    app = typer.Typer()
    app.add_typer(pipeline.app, name="pipeline")
    app.command("apply")(apply)
    app.command("predict")(predict)
    return CliRunner().invoke(app, arguments, env={"KAFKA_BOOTSTRAP_SERVERS": kafka, "FRESHET_NAMESPACE": NAMESPACE})


def applications(stage: LocalDeployment, rows: int) -> list[dict[str, Any]]:
    """Events as a notebook has them: dicts without id and time."""
    columns = loans.sample(stage.schema, rows, seed=5).columns
    lists = {name: plain(column) for name, column in columns.items() if name not in ("event_id", "at")}
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def test_an_event_nobody_answers_says_who_is_not_there(stage: LocalDeployment, client: Client) -> None:
    """Before any service runs: ingestion, a model and inference are missed by name, and the event stays."""
    stage.apply()
    told: list[str] = []
    row = applications(stage, 1)[0]
    with pytest.raises(NotAnsweredError, match="it has no features"):
        client.predict("loans", row, timeout_s=6, on_slow=told.append)
    assert len(told) == 1
    for missing in ("No ingestion is running", "No model answers yet", "No inference is running"):
        assert missing in told[0]


def test_a_model_from_a_notebook_answers(stage: LocalDeployment, client: Client) -> None:
    """Publish, send, read: every event has its prediction, at the place that `send` returned, and only once."""
    stage.start()
    features, labels = feature_rows(stage.spec, stage.schema, loans.sample(stage.schema, ROWS, seed=9))
    model = train("linear", features, labels)
    named = dict(zip(stage.spec.feature_names, features.T, strict=True))
    assert client.publish(model, pipeline="loans", sample=named, lineage={"training_set": "0" * 64}) == "1.0.0"
    sent = client.send("loans", applications(stage, ROWS))
    found = client.predictions("loans", limit=ROWS + 1, timeout_s=60)
    places = set(zip(found["source_partition"].tolist(), found["source_offset"].tolist(), strict=True))
    assert places > set(zip(sent["partition"].tolist(), sent["offset"].tolist(), strict=True))
    assert len(places) == len(found["label"]) == ROWS + 1
    assert found["scores"].shape == (ROWS + 1, 2)
    assert found["scores"].dtype == np.float32
    assert set(found["version"]) == {"1.0.0"}
    assert len(client.predictions("loans", since=found.next)["label"]) == 0
    again = client.predictions("loans", since=timedelta(hours=1))
    assert sorted(again["event_id"]) == sorted(found["event_id"])


def test_rows_that_are_no_events_are_not_sent(stage: LocalDeployment, client: Client) -> None:
    """One bad row among good ones: nothing goes."""
    before = stage.bus.spans("events")
    good = applications(stage, 2)
    with pytest.raises(RowError, match="row 1: field 'salary' holds 'much', which is not a number"):
        client.send("loans", [good[0], {**good[1], "salary": "much"}])
    assert stage.bus.spans("events") == before


def test_one_row_through_the_topics(stage: LocalDeployment, kafka: str, tmp_path: Path) -> None:
    """`freshet predict` shows features, answer, version and positions; a dead letter exits with 4 and says why."""
    row = applications(stage, 1)[0]
    file = tmp_path / "row.json"
    file.write_text(json.dumps(row))
    done = freshet(kafka, "predict", str(file), "--pipeline", "loans", "--json", "--timeout", "60")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["features"]) == set(stage.spec.feature_names)
    assert found["features"]["salary"] == pytest.approx(row["salary"], rel=1e-6)
    assert found["version"] == "1.0.0"
    assert found["label"] == max(found["scores"], key=found["scores"].get)
    assert {"event", "features", "prediction"} == set(found["positions"])
    file.write_text(json.dumps({**row, "age": 7}))
    dead = freshet(kafka, "predict", str(file), "--pipeline", "loans", "--json", "--timeout", "60")
    assert dead.exit_code == 4, dead.stderr
    assert json.loads(dead.stdout)["dead_letter"]["reason"] == "input_range"


def test_a_pipeline_in_use_is_not_deleted(stage: LocalDeployment, kafka: str) -> None:
    """Whoever still works is named, and nothing is touched."""
    refused = freshet(kafka, "pipeline", "delete", "loans", "--yes")
    assert refused.exit_code == 5
    assert "ingestion-0" in refused.stderr
    assert "inference-0" in refused.stderr
    assert stage.bus.spans("events")


@pytest.mark.parametrize("registry", ["runs", "is gone"])
def test_a_deleted_pipeline_begins_anew(stage: LocalDeployment, client: Client, kafka: str, registry: str) -> None:
    """Nothing of it stays, whoever withdraws the versions; applied again it serves from 1.0.0 and epoch 1."""
    stage.supervisor.stop("ingestion-0")
    stage.supervisor.stop("inference-0")
    if registry == "is gone":
        stage.supervisor.stop("registry")
    done = freshet(kafka, "pipeline", "delete", "loans", "--yes", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["versions"] == 1
    assert ("in its place" in done.stderr) == (registry == "is gone")
    assert not [name for name in KafkaGroups(kafka).names() if name.startswith(f"{NAMESPACE}loans.")]
    assert freshet(kafka, "pipeline", "delete", "loans", "--yes").exit_code == 1
    assert freshet(kafka, "apply", "-f", str(FOLDER)).exit_code == 0
    if registry == "is gone":
        stage.run("registry")
    else:
        assert stage.supervisor.restarts("registry") == 0
    stage.run("ingestion-0")
    stage.run("inference-0")
    features, labels = feature_rows(stage.spec, stage.schema, loans.sample(stage.schema, ROWS, seed=9))
    kind = "trees" if registry == "runs" else "linear"  # another model than 1.0.0 was before
    assert client.publish(train(kind, features, labels), pipeline="loans", sample=features) == "1.0.0"
    answer = client.predict("loans", applications(stage, 1)[0], timeout_s=90)
    assert (answer.version, answer.epoch, answer.event[1]) == ("1.0.0", 1, 0)
    stage.wait_drained()
    assert judge(collect(stage.bus, "loans", stage.committed)).ok
