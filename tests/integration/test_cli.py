"""The command on a real Kafka with real services: replay, tail, dead letters, models, verify, doctor."""

import csv
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner, Result

from freshet.cli.main import app
from freshet.cli.output import Exit
from freshet.contracts.batch import Record
from freshet.contracts.position import Position, stamped
from freshet.contracts.shipped import pipelines_dir
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate import checkup
from freshet.runtime.bus.kafka.transactions import find_hanging
from freshet.runtime.bus.protocol import Committed, Place, Send, Transaction
from freshet.runtime.reading import everything
from support.buses import opened, settled

pytestmark = pytest.mark.kafka

ROWS = 1500
FIELDS = ("salary", "commission", "age", "elevel", "car", "zipcode", "hvalue", "hyears", "loan")
Freshet = Callable[..., Result]


@pytest.fixture
def freshet(kafka: str, namespace: str) -> Freshet:
    """Runs a command on the session's broker, in this test's namespace."""
    environment = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "FRESHET_NAMESPACE": namespace}
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)), env=environment)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Loan applications with their outcomes."""
    path = tmp_path / "loans.csv"
    rng = np.random.default_rng(5)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*FIELDS, "outcome"])
        for _ in range(ROWS):
            salary, loan = int(rng.integers(20_000, 150_000)), int(rng.integers(1000, 500_000))
            about = [salary, 0, int(rng.integers(20, 80)), int(rng.integers(5)), 3, 4, 90_000, 5, loan]
            writer.writerow([*about, "declined" if loan > 2 * salary else "approved"])
    return path


def document(result: Result, code: Exit = Exit.OK) -> Any:
    """The JSON document on stdout, of a command that ended with this code."""
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def lines(result: Result) -> list[Any]:
    """The JSON lines on stdout."""
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def replayed(freshet: Freshet, table: Path, *more: str) -> Any:
    """Replay the table with its labels."""
    options = ("--pipeline", "loans", "--label", "outcome", "--labels-after", "100", "--json", *more)
    return document(freshet("replay", table, *options))


def ingested(stage: LocalDeployment) -> None:
    """Wait until ingestion has answered all events."""
    stage.view.wait("ingestion", lambda _: stage.unread("ingestion", "events") == 0 or None)


def first_of(stage: LocalDeployment, role: str, starts: Mapping[Place, int] | None = None) -> Record:
    """The first record of a topic, or the one at a place."""
    return next(record for batch in everything(stage.bus, role, starts) for record in batch.records)


def packed(freshet: Freshet, table: Path, folder: Path, seed: int) -> Path:
    """A bundle, packed by the command from a pickled classifier of the pipeline's features."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(200, 12)).astype(np.float32)
    model = LogisticRegression().fit(rows, ["declined" if row[4] > 0 else "approved" for row in rows])
    file, bundle = folder / f"{seed}.joblib", folder / f"bundle-{seed}"
    joblib.dump(model, file)
    folder_of_loans = str(pipelines_dir() / "loans")
    document(
        freshet(
            "model",
            "pack",
            file,
            "--pipeline",
            folder_of_loans,
            "--sample",
            table,
            "-o",
            bundle,
            "--max-gap",
            "0.001",
            "--json",
        )
    )
    return bundle


def forge(stage: LocalDeployment) -> None:
    """Somebody writes an answer that was given already."""
    answer = first_of(stage, "predictions")
    stage.producer.send(Send("predictions", [answer.key()], [answer.value()], [answer.partition()]))


def moment(at_ms: int) -> str:
    """As `--at` takes it."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


def answered_by(stretches: list[dict[str, Any]], partition: int, offset: int) -> str:
    """The version that the history names for a place."""
    ((found,),) = (
        one["versions"]
        for one in stretches
        if one["partition"] == partition and one["first_offset"] <= offset < (one["end_offset"] or offset + 1)
    )
    return str(found)


def test_a_replay_is_what_the_topics_hold(freshet: Freshet, stage: LocalDeployment, table: Path) -> None:
    """As many events and labels as were counted, ids that can be repeated, and labels for good events only."""
    sent = replayed(freshet, table, "--corrupt", "20%", "--corrupt-kind", "truncated", "--seed", "3")
    assert sent["events"] == ROWS
    assert sent["labels"] == ROWS - sent["corrupted"]["truncated"]
    events = lines(freshet("topic", "tail", "events", "--pipeline", "loans", "--from", "beginning", "--json"))
    good = {row["value"]["event_id"] for row in events if "undecodable" not in row["value"]}
    feedback = lines(freshet("topic", "tail", f"{stage.names.topic('feedback')}", "--from", "beginning", "--json"))
    assert len(events) == ROWS
    assert {row["value"]["event_id"] for row in feedback} == good
    assert document(freshet("replay", table, "--pipeline", "loans", "--rows", 700, "--json"))["events"] == 700
    again = lines(freshet("topic", "tail", "events", "--pipeline", "loans", "-n", 700, "--json"))
    assert len(good & {row["value"]["event_id"] for row in again}) > 500


def test_dead_letters_are_listed_shown_and_redriven_once(freshet: Freshet, stage: LocalDeployment, table: Path) -> None:
    """Spoiled events are set aside by the real ingestion with bytes untouched, and redriven exactly once."""
    sent = replayed(freshet, table, "--rows", "300", "--corrupt", "10%", "--corrupt-kind", "out_of_range")
    stage.run("ingestion-0")
    ingested(stage)
    (group,) = document(freshet("dead-letters", "list", "--pipeline", "loans", "--json"))
    assert (group["reason"], group["count"]) == ("input_range", sent["corrupted"]["out_of_range"])
    shown = document(freshet("dead-letters", "show", group["place"], "--pipeline", "loans", "--json"))
    partition, offset = (int(shown["headers"][f"freshet.{name}"]) for name in ("partition", "offset"))
    assert shown["value_hex"] == (first_of(stage, "events", {Place("events", partition): offset}).value() or b"").hex()
    dry = document(freshet("dead-letters", "redrive", "--pipeline", "loans", "--dry-run", "--json"))
    first = document(freshet("dead-letters", "redrive", "--pipeline", "loans", "--json"))
    assert dry["sent"] == first["sent"] == group["count"]
    ingested(stage)
    second = document(freshet("dead-letters", "redrive", "--pipeline", "loans", "--json"))
    assert second["already_redriven"] == group["count"]


def test_a_model_goes_from_a_file_to_answering_and_is_verified(
    freshet: Freshet, stage: LocalDeployment, table: Path, tmp_path: Path
) -> None:
    """Pack, check, publish, promote and roll back through the command alone; then verify finds a forged answer.

    The history names the version of every prediction, and who approved it.
    """
    stage.start()
    replayed(freshet, table)
    for seed in (1, 2):
        bundle = packed(freshet, table, tmp_path, seed)
        report = document(freshet("model", "check", bundle, "--pipeline", "loans", "--json"))
        assert report["admitted"]
        verdict = document(freshet("model", "publish", bundle, "--json"))
        assert verdict["state"] == "admitted"
        stage.wait_live(verdict["version"])
    versions = {row["version"]: row["now"] for row in document(freshet("model", "list", "--json"))}
    assert versions[verdict["version"]] == "answers"
    refused = document(freshet("model", "promote", "9.9.9", "--pipeline", "loans", "--json"), Exit.CONFLICT)
    assert refused["verdict"] == "refused"
    stale = freshet("model", "rollback", "--pipeline", "loans", "--expect-epoch", "77", "--json")
    assert document(stale, Exit.CONFLICT)["verdict"] == "stale"
    back = document(freshet("model", "rollback", "--pipeline", "loans", "--json"))
    assert back["verdict"] == "done"
    stage.wait_drained()
    status = document(freshet("model", "status", "--pipeline", "loans", "--json"))
    assert status["live"]["epoch"] == back["epoch"]
    assert [worker["alive"] for worker in status["workers"]] == [True]
    assert len(status["partitions"]) == stage.spec.partitions
    judged = document(freshet("verify", "--pipeline", "loans", "--wait", "30", "--json"))
    assert (judged["ok"], judged["answered"], judged["pending"]) == (True, ROWS, 0)
    history = document(freshet("model", "history", "--pipeline", "loans", "--json"))
    approvals = [(one["approval"]["kind"], one["approval"]["what"]) for one in history["epochs"]]
    assert approvals == [("policy", "immediate"), ("policy", "immediate"), ("command", "rollback")]
    assert history["epochs"][-1]["approval"]["command_id"] == back["command_id"]
    assert "@" in history["epochs"][-1]["approval"]["by"]
    tail = freshet("topic", "tail", "predictions", "--pipeline", "loans", "--from", "beginning", "--json")
    for answer in (row["value"] for row in lines(tail)):
        place = answer["source_partition"], answer["source_offset"]
        assert answer["version"] == answered_by(history["answers"], *place)
    first = history["answers"][0]
    then = document(freshet("model", "history", "--pipeline", "loans", "--at", moment(first["since_ms"]), "--json"))
    assert first["partition"] in [one["partition"] for one in then["answers"]]
    before = freshet("model", "history", "--pipeline", "loans", "--at", "3h")
    assert "no version answered anything" in before.stdout
    forge(stage)
    broken = document(freshet("verify", "--pipeline", "loans", "--json"), Exit.CHECK)
    assert "no feature vector is answered twice" in [one["check"] for one in broken["findings"] if not one["ok"]]


def test_the_doctor_tells_a_sound_installation_from_one_that_lacks_topics(
    freshet: Freshet, stage: LocalDeployment
) -> None:
    """With everything there nothing is bad, and a transaction goes through.

    In a strange namespace nothing was applied yet; a topic that is gone is to be made again.
    """
    sound = document(freshet("doctor", "--deep", "--json"))
    health = {line["about"]: line["health"] for line in sound}
    assert {health["topics"], health["schemas"], health["transactions"]} == {"ok"}
    assert "bad" not in health.values()
    fresh = document(freshet("doctor", "--namespace", f"no-{stage.names.namespace}", "--json"))
    assert {line["do"] for line in fresh if line["about"] == "topics"} == {"freshet apply -f FOLDER"}
    stage.admin.delete([stage.names.topic("labels")])
    lacking = document(freshet("doctor", "--json"), Exit.CHECK)
    assert any(line["do"] == "freshet topics apply" for line in lacking if line["health"] == "bad")


def test_the_doctor_sees_what_others_did_to_our_topics(freshet: Freshet, stage: LocalDeployment) -> None:
    """Another cleanup policy, and partitions that were added by hand, are named with what to do."""
    features, labels = stage.names.topic("features"), stage.names.topic("labels")
    stage.admin.alter(features, {"cleanup.policy": "compact"})
    client = AdminClient({"bootstrap.servers": stage.admin.address})
    client.create_partitions([NewPartitions(labels, 9)])[labels].result(30)
    lines = {line["about"]: line for line in document(freshet("doctor", "--json"), Exit.CHECK)}
    policy, count = lines[f"topic {features}"], lines[f"topic {labels}"]
    assert policy["health"] == "bad"
    assert "was cleanup.policy=compact" in policy["seen"]
    assert policy["do"] == "freshet topics apply --adopt"
    assert count["health"] == "bad"
    assert "has 9 partitions, not 6" in count["seen"]


def test_the_doctor_names_a_transaction_that_hangs(
    freshet: Freshet, stage: LocalDeployment, kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction on a pipeline's topic that stays open: whose it is, and where."""
    monkeypatch.setattr(checkup, "find_hanging", partial(find_hanging, longest_s=1.0))
    topic, transactional_id = stage.names.topic("features"), stage.names.transactional_id("ingestion", "9")
    client = Producer(
        {"bootstrap.servers": kafka, "transactional.id": transactional_id, "transaction.timeout.ms": 600_000}
    )
    client.init_transactions(30)
    client.begin_transaction()
    client.produce(topic, b"v", partition=4)
    client.flush(30)
    lines = {line["about"]: line for line in document(freshet("doctor", "--json"))}
    found = lines[f"transaction in {topic}/4"]
    assert found["health"] == "warn"
    assert f"transactional id {transactional_id}" in found["seen"]
    client.abort_transaction(30)
    assert "open transactions" in {line["about"] for line in document(freshet("doctor", "--json"))}


def test_an_idle_group_is_not_behind(freshet: Freshet, stage: LocalDeployment) -> None:
    """Behind the last record there is a marker that no group commits past: it is no record to read.

    Offsets of a topic that was made anew since say nothing about how far the group is.
    """
    bus, consumer = stage.bus, settled(stage.bus, "features", owns=stage.spec.partitions)
    producer = opened(bus, "other")
    producer.commit(Transaction([Send("features", [b"k"] * 3, [b"v"] * 3, [0] * 3)]))
    place = Place("features", 0)

    def behind(code: Exit = Exit.OK) -> str:
        lines: dict[str, str] = {line["about"]: line["seen"] for line in document(freshet("doctor", "--json"), code)}
        return lines[f"group {stage.names.group('inference')}"].partition(" behind")[0]

    position = Position(0, 0).metadata()
    producer.commit(Transaction(offsets={place: Committed(1, position)}, membership=consumer.membership()))
    assert behind(Exit.CHECK) == "2 records"  # and no worker reports
    producer.commit(Transaction(offsets={place: Committed(3, position)}, membership=consumer.membership()))
    assert behind() == "0 records"
    here, earlier = (stamped(position, topic, 3) for topic in (bus.topic_id("features"), "A" * 22))
    producer.commit(Transaction(offsets={place: Committed(3, here)}, membership=consumer.membership()))
    assert behind() == "0 records"
    producer.commit(Transaction(offsets={place: Committed(3, earlier)}, membership=consumer.membership()))
    assert "of an earlier topic of that name" in behind()
    producer.commit(Transaction(offsets={place: Committed(2, here)}, membership=consumer.membership()))
    assert "another program has written its offsets" in behind(Exit.CHECK)
    producer.close()
    consumer.close()


@pytest.mark.parametrize("command", [("verify",), ("dead-letters", "list"), ("model", "status"), ("model", "pause")])
def test_a_misspelt_pipeline_is_an_error(freshet: Freshet, command: tuple[str, ...]) -> None:
    """It is no judgement over nothing, has no empty list of dead letters, and is not waited for."""
    found = freshet(*command, "--pipeline", "lones")
    assert found.exit_code == Exit.FAILURE
    assert "lones" in found.stderr
