"""Lag as `freshet lag` tells it, against what a plain reader of a real Kafka counts."""

import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from typer.testing import CliRunner

from freshet.cli.main import app
from freshet.contracts.shipped import pipelines_dir
from freshet.lab.demo import loans
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate.connection import Connection, connect
from freshet.operate.lag import lag_reader
from freshet.operate.lag.lag_reader import lag
from freshet.operate.lag.lag_rows import Hop, PartitionLag
from freshet.operate.records import readable
from freshet.runtime.reading import everything
from freshet.runtime.settings import load_settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

EVENTS: Final = 300


@pytest.fixture
def stage(kafka: str, namespace: str, tmp_path: Path) -> Iterator[LocalDeployment]:
    """The loans pipeline, whose events ingestion has turned into features that nobody has read."""
    with LocalDeployment(kafka, namespace, pipelines_dir() / "loans", tmp_path / "logs", workers=1) as made:
        made.apply()
        made.run("ingestion-0")
        # in several sends, and so in several transactions
        for _ in made.load(rate=1000.0).publish(islice(loans.Applications(made.schema, seed=3), 2)):
            pass
        made.view.wait("ingestion", lambda _: made.unread("ingestion", "events") == 0 or None)
        yield made


@pytest.fixture
def connection(kafka: str, namespace: str) -> Connection:
    """As a command connects."""
    return connect(load_settings(kafka, namespace=namespace))


def rows(connection: Connection, hop: Hop) -> dict[int, PartitionLag]:
    """The lag of one hop, by partition."""
    return {row.partition: row for row in lag(connection, "loans").partitions if (row.service, row.role) == hop}


def told(stage: LocalDeployment, role: str) -> dict[int, list[dict[str, Any]]]:
    """Every record of a topic as a plain reader sees it, by partition."""
    known, found = readable(stage.bus), dict[int, list[dict[str, Any]]]()
    for batch in everything(stage.bus, role):
        for row in known.rows(batch):
            found.setdefault(row["partition"], []).append(row)
    return found


def commit(connection: Connection, group: str, topic: str, offsets: dict[int, int]) -> None:
    """Say that a group has read so far."""
    client = Consumer({"bootstrap.servers": connection.bootstrap_servers, "group.id": group})
    client.commit(offsets=[TopicPartition(topic, at, offset) for at, offset in offsets.items()], asynchronous=False)
    client.close()


def test_records_and_seconds_are_those_of_the_records_that_a_reader_gets(
    stage: LocalDeployment, connection: Connection
) -> None:
    """Per partition: what is there and unread, its first offset, and the age of it and of the event behind it."""
    features, events = told(stage, "features"), told(stage, "events")
    event_ms = {(at, row["offset"]): row["timestamp_ms"] for at, found in events.items() for row in found}
    before_ms = time.time_ns() // 1_000_000
    found = rows(connection, Hop("inference", "features"))
    after_ms = time.time_ns() // 1_000_000

    assert sum(row.records for row in found.values()) == sum(map(len, features.values())) >= EVENTS
    for partition, row in found.items():
        first = features[partition][0]
        assert (row.records, row.exact, row.next_offset) == (len(features[partition]), True, first["offset"])
        assert row.position is None
        source = event_ms[first["value"]["source_partition"], first["value"]["source_offset"]]
        for seconds, at_ms in ((row.seconds, first["timestamp_ms"]), (row.origin_seconds, source)):
            assert before_ms - at_ms <= round(seconds * 1000) <= after_ms - at_ms
    ingested = rows(connection, Hop("ingestion", "events"))
    assert {(row.records, row.seconds) for row in ingested.values()} == {(0, 0.0)}


def test_markers_behind_the_last_record_are_no_lag(stage: LocalDeployment, connection: Connection) -> None:
    """A group that has read all records stands below the end for good: the end counts markers, the lag does not."""
    features = told(stage, "features")
    group, topic = stage.names.group("inference"), stage.names.topic("features")
    commit(connection, group, topic, {at: found[-1]["offset"] + 1 for at, found in features.items()})

    ends = connection.admin.end_offsets(topic)
    found = rows(connection, Hop("inference", "features"))

    assert all(ends[at] > (row.position or 0) for at, row in found.items())
    assert {(row.records, row.seconds, row.next_offset) for row in found.values()} == {(0, 0.0, None)}


def test_of_many_records_the_next_is_exact_and_the_number_says_that_it_is_not(
    stage: LocalDeployment, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lag of millions must cost no reading of millions: offsets are counted then, markers among them."""
    monkeypatch.setattr(lag_reader, "_COUNTED", 5)
    features = told(stage, "features")
    ends = stage.bus.spans("features")
    for partition, row in rows(connection, Hop("inference", "features")).items():
        assert not row.exact
        assert len(features[partition]) <= row.records <= ends[partition].end
        assert row.next_offset == features[partition][0]["offset"]


def test_what_an_open_transaction_hides_is_told_apart_and_its_owner_is_named(
    stage: LocalDeployment, connection: Connection, monkeypatch: pytest.MonkeyPatch, namespace: str
) -> None:
    """Nobody can read it, so it is no lag; a transaction that has been open for too long is named by its id."""
    monkeypatch.setattr(lag_reader, "LONGEST_TRANSACTION_S", 0.0)
    topic = stage.names.topic("predictions")
    somebody = Producer({"bootstrap.servers": connection.bootstrap_servers, "transactional.id": f"{namespace}somebody"})
    somebody.init_transactions(30)
    somebody.begin_transaction()
    for _ in range(3):
        somebody.produce(topic, b"open", partition=1)
    somebody.flush(30)
    commit(connection, stage.names.group("drift-join"), topic, {1: 0})

    found = lag(connection, "loans")

    (row,) = [row for row in found.partitions if row.role == "predictions" and row.partition == 1]
    assert (row.records, row.seconds, row.hidden) == (0, 0.0, 3)
    (stuck,) = found.stuck
    assert (stuck.topic, stuck.partition, stuck.transactional_id) == (topic, 1, f"{namespace}somebody")
    somebody.abort_transaction(30)
    after = lag(connection, "loans")
    (row,) = [row for row in after.partitions if row.role == "predictions" and row.partition == 1]
    assert (row.records, row.hidden, after.stuck) == (0, 0, ())  # aborted: there is nothing that anybody will read


def test_a_group_of_somebody_elses_that_reads_the_pipeline_is_told_of(
    stage: LocalDeployment, connection: Connection
) -> None:
    """A service of another package is found by its group, on the topics where it has committed."""
    topic, ends = stage.names.topic("features"), stage.bus.spans("features")
    commit(connection, stage.names.group("my-service"), topic, {at: span.low for at, span in ends.items()})
    features = told(stage, "features")
    found = rows(connection, Hop("my-service", "features"))
    assert {at: row.records for at, row in found.items()} == {at: len(rows) for at, rows in features.items()}


def test_the_command_tells_hops_and_paths(stage: LocalDeployment, connection: Connection, kafka: str) -> None:
    """Sums over partitions, the path's oldest wait and where it is, as JSON and for a person."""
    environment = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "FRESHET_NAMESPACE": stage.names.namespace}
    count = sum(map(len, told(stage, "features").values()))

    result = CliRunner().invoke(app, ["lag", "--pipeline", "loans", "--json"], env=environment)

    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    hops = {(hop["service"], hop["role"]): hop for hop in document["hops"]}
    assert hops["inference", "features"] | {"seconds": 0.0} == {
        "service": "inference",
        "role": "features",
        "records": count,
        "exact": True,
        "seconds": 0.0,
        "behind": len(stage.bus.spans("features")),
        "partitions": len(stage.bus.spans("features")),
        "hidden": 0,
        "started": False,
        "needed": True,
    }
    prediction, outcome = document["paths"]
    assert prediction["records"] == outcome["records"] == count
    assert prediction["waits_at"] == {"service": "inference", "role": "features"}
    oldest = max(row["origin_seconds"] for row in document["partitions"])
    assert prediction["seconds"] == oldest > 0
    shown = CliRunner().invoke(app, ["lag", "--pipeline", "loans", "--partitions"], env=environment)
    assert shown.exit_code == 0, shown.output
    assert "inference to read features" in shown.stdout
    assert "never read by anybody" in shown.stdout
    wrong = CliRunner().invoke(app, ["lag", "--pipeline", "loan"], env=environment)
    assert wrong.exit_code == 1
    assert "known are loans" in wrong.stderr
