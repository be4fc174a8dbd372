"""The end of a pipeline on a real Kafka: what was interrupted is finished, and nobody begins over its remains."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from typer.testing import CliRunner, Result

from freshet.avro.control import encode
from freshet.cli import pipeline
from freshet.cli.apply import apply
from freshet.cli.output import Exit
from freshet.contracts.messages import WorkerState
from freshet.contracts.shipped import pipelines_dir
from freshet.operate.connection import Connection, connect
from freshet.operate.deletion import delete_namespace, remains
from freshet.runtime.bus.kafka.groups import KafkaGroups
from freshet.runtime.bus.protocol import Send
from freshet.runtime.publishing import withdraw_pipeline
from freshet.runtime.settings import load_settings
from support.inference import model, rollout
from support.services import until

pytestmark = pytest.mark.kafka

Freshet = Callable[..., Result]
LOANS = str(pipelines_dir() / "loans")


@pytest.fixture
def cluster(kafka: str, namespace: str) -> Connection:
    """The session's broker, in this test's namespace."""
    return connect(load_settings(kafka, namespace=namespace))


@pytest.fixture
def freshet(kafka: str, namespace: str) -> Freshet:
    """Runs a command there."""
    app = typer.Typer()
    app.add_typer(pipeline.app, name="pipeline")
    app.command("apply")(apply)
    environment = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "FRESHET_NAMESPACE": namespace}
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)), env=environment)


def test_an_interrupted_deletion_is_finished_before_the_name_is_used(freshet: Freshet, cluster: Connection) -> None:
    """Versions and epochs that outlived their pipeline would answer in the next one: apply refuses until they go."""
    assert freshet("apply", "-f", LOANS).exit_code == Exit.OK
    producer = cluster.bus("loans").producer()
    version, epoch = model("1.0.0"), rollout(1, "1.0.0")
    for name in ("loans", "loans-2"):
        ours = {"pipeline": name}
        producer.send(Send("models", [f"{name}/1.0.0".encode()], [encode(version.model_copy(update=ours))]))
        producer.send(Send("rollouts", [f"{name}/1".encode()], [encode(epoch.model_copy(update=ours))]))
    withdraw_pipeline(cluster.bus("loans"), cluster.names("loans"))

    refused = freshet("apply", "-f", LOANS)
    assert refused.exit_code == Exit.CONFLICT
    assert "freshet pipeline delete loans" in refused.stderr
    done = freshet("pipeline", "delete", "loans", "--yes")
    assert done.exit_code == Exit.OK, done.stderr
    assert "specifications: 0, model versions: 1, epochs: 1" in done.stderr
    assert freshet("apply", "-f", LOANS).exit_code == Exit.OK
    assert freshet("pipeline", "delete", "loans-2", "--yes").exit_code == Exit.OK
    assert freshet("pipeline", "delete", "loans-2", "--yes").exit_code == Exit.FAILURE


def test_a_wrong_clock_makes_no_working_worker_look_ended(
    freshet: Freshet, cluster: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member in a fixed slot that beats is at work, whatever this machine takes for the time."""
    assert freshet("apply", "-f", LOANS).exit_code == Exit.OK
    name, ended = cluster.names("loans").worker("inference", "0"), threading.Event()
    state = encode(WorkerState(instance=name, service="inference", pipeline="loans", interval_ms=1000))

    def work() -> None:
        member, producer = (
            cluster.bus("loans").consumer("inference", ["features"], "inference-0"),
            cluster.bus("loans").producer(),
        )
        while not ended.is_set():
            member.collect(1, 1, 0.2)
            producer.send(Send("workers", [name.encode()], [state]))
        member.close()

    working = threading.Thread(target=work)
    working.start()
    try:
        until(lambda: remains(cluster, "loans").active, "the member to join")
        time_ns = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: time_ns() + 60_000_000_000)
        refused = freshet("pipeline", "delete", "loans", "--yes")
    finally:
        ended.set()
        working.join()
    assert refused.exit_code == Exit.CONFLICT, refused.stderr


def test_nothing_is_deleted_unasked(freshet: Freshet, cluster: Connection) -> None:
    """Without --yes it shows what there is, and asks; no answer is a no."""
    assert freshet("apply", "-f", LOANS).exit_code == Exit.OK
    asked = freshet("pipeline", "delete", "loans")
    assert asked.exit_code == 1
    assert f"topic {cluster.names('loans').topic('events')}: 0 offsets" in asked.stderr
    assert freshet("pipeline", "delete", "laons", "--yes").exit_code == Exit.FAILURE
    assert cluster.bus("loans").spans("events")


def test_a_pipeline_that_still_gets_events_is_not_deleted_unless_forced(
    freshet: Freshet, cluster: Connection, tmp_path: Path
) -> None:
    """A producer is in no group: only the topic's end tells of it. A replay ends with a sentence once that is gone."""
    assert freshet("apply", "-f", LOANS).exit_code == Exit.OK
    table = tmp_path / "loans.csv"
    columns = "salary,commission,age,elevel,car,zipcode,hvalue,hyears,loan"
    table.write_text(columns + "\n" + "50000,0,30,1,2,3,100000,5,20000\n" * 5_000)
    with (tmp_path / "told").open("wb") as told:
        replay = subprocess.Popen(
            [sys.executable, "-m", "freshet.cli", "replay", table, "--pipeline", "loans", "--rate", "50"],
            env={
                **os.environ,
                "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers,
                "FRESHET_NAMESPACE": cluster.namespace,
            },
            stderr=told,
        )
    try:
        topic, bus = cluster.names("loans").topic("events"), cluster.bus("loans")
        until(lambda: any(span.high for span in bus.spans("events").values()), "its first events")
        refused = freshet("pipeline", "delete", "loans", "--yes")
        assert refused.exit_code == Exit.CONFLICT
        assert re.search(rf"still writes to {topic} \(\+\d+ in a second\).*--force", refused.stderr)
        assert freshet("pipeline", "delete", "loans", "--yes", "--force").exit_code == Exit.OK
        assert replay.wait(20) == Exit.FAILURE  # the client's own patience is 30 s and more
    finally:
        replay.kill()
    assert re.search(r"topic.*(not there|deleted)", (tmp_path / "told").read_text())
    assert freshet("apply", "-f", LOANS).exit_code == Exit.OK
    assert freshet("pipeline", "delete", "loans", "--yes").exit_code == Exit.OK, "nobody writes to it any more"


def test_a_namespace_of_ones_own_goes_as_a_whole(freshet: Freshet, cluster: Connection, tmp_path: Path) -> None:
    """Control topics and groups included; without a namespace that would be everything, and is refused."""
    assert freshet("apply", "-f", LOANS).exit_code == Exit.OK
    admin = KafkaGroups(cluster.bootstrap_servers)
    theirs = f"theirs-{cluster.namespace}events"
    other = AdminClient({"bootstrap.servers": cluster.bootstrap_servers})
    other.create_topics([NewTopic(theirs, 1)])[theirs].result()
    delete_namespace(cluster)
    left = admin.names()  # with what other tests make and delete meanwhile
    assert not [name for name in left if name.startswith(cluster.namespace)]
    assert theirs in left
    other.delete_topics([theirs])[theirs].result()
    with pytest.raises(ValueError, match="a namespace of one's own"):
        delete_namespace(replace(cluster, namespace=""))
