"""A service as a process: what it tells its surroundings, and how it ends."""

import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from freshet.contracts.shipped import pipelines_dir
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate.pipeline_view import View
from freshet.runtime.bus.protocol import Send
from freshet.runtime.process import EXIT_FATAL, EXIT_SETTINGS
from support.ingestion import framed, loan
from support.services import Process, forward, free_port, until

pytestmark = pytest.mark.kafka

LOANS = ("ingestion", "--pipelines", "loans")


@pytest.fixture
def stage(kafka: str, namespace: str, tmp_path: Path) -> Iterator[LocalDeployment]:
    """The loans pipeline, applied; no service runs."""
    with LocalDeployment(kafka, namespace, pipelines_dir() / "loans", tmp_path) as applied:
        applied.apply()
        yield applied


def members(kafka: str, stage: LocalDeployment) -> int:
    """How many members ingestion's group has."""
    group, admin = stage.names.group("ingestion"), AdminClient({"bootstrap.servers": kafka})
    return len(admin.describe_consumer_groups([group])[group].result(30).members)


def consumed_events(process: Process) -> float:
    """How many events its metrics have counted."""
    _, metrics = process.get("/metrics")
    sample = re.search(r'^freshet_records_consumed_total{.*topic="events"} (.*)$', metrics, re.MULTILINE)
    return float(sample[1]) if sample else 0


def ready(process: Process) -> None:
    """Wait until it says so."""
    until(lambda: process.get("/ready") == (200, "yes\n"), "/ready")


def test_it_says_how_it_is_and_what_it_did_and_leaves_when_told(
    kafka: str, stage: LocalDeployment, tmp_path: Path
) -> None:
    """Live and ready turn 200, the metrics count its records, SIGTERM ends it in order: exit 0, its group is empty."""
    with Process(kafka, stage.names.namespace, tmp_path / "log", *LOANS, "--slots", "elastic") as process:
        ready(process)
        assert process.get("/live") == (200, "yes\n")
        until(lambda: members(kafka, stage) == 1, "its membership")
        stage.producer.send(Send("events", [b"ada"] * 7, [framed(loan())] * 7))
        until(lambda: consumed_events(process) == 7, "its answers")
        assert stage.unread("ingestion", "events") == 0
        assert process.terminate() == 0
        assert process.log("stopped")
    assert members(kafka, stage) == 0


def test_a_second_process_in_the_same_slot_is_refused(kafka: str, stage: LocalDeployment, tmp_path: Path) -> None:
    """On one machine: the second exits with 2 and says who has the slot; the first serves on, and another slot too."""
    with (
        Process(kafka, stage.names.namespace, tmp_path / "first", *LOANS) as first,
        Process(kafka, stage.names.namespace, tmp_path / "second", *LOANS, "--slot", "1") as other,
    ):
        ready(first)
        ready(other)
        with Process(kafka, stage.names.namespace, tmp_path / "third", *LOANS) as second:
            assert second.ended() == EXIT_SETTINGS
            assert "slot 0" in second.logged("settings")["error"]
        ready(first)
        ready(other)


def test_a_second_process_in_the_same_slot_takes_over(
    kafka: str, stage: LocalDeployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no lock is shared, as on another machine: the first is fenced, says so and exits; the second serves."""
    with Process(kafka, stage.names.namespace, tmp_path / "first", *LOANS) as first:
        ready(first)
        monkeypatch.setenv("FRESHET_STATE_DIR", str(tmp_path / "elsewhere"))
        with Process(kafka, stage.names.namespace, tmp_path / "third", *LOANS) as second:
            assert first.ended() == EXIT_FATAL
            assert "fenced" in first.logged("fatal")["error"].lower()
            ready(second)
            assert second.terminate() == 0


def _host_of(view: View, name: str) -> str:
    """Where a worker beats from; empty before its first beat was read."""
    beat = view.ledger.workers.beats.get(name)
    return beat.worker.host if beat else ""


def test_a_slot_that_beats_on_another_host_is_refused(
    kafka: str, stage: LocalDeployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second says who has the slot, and exits with 2; the first serves on, and once it has left the slot is free.

    One that was killed says nothing any more: another host takes its slot after a few beats.
    """
    monkeypatch.setenv("FRESHET_HOST", "a")
    with Process(kafka, stage.names.namespace, tmp_path / "first", *LOANS) as first:
        ready(first)
        monkeypatch.setenv("FRESHET_HOST", "b")
        monkeypatch.setenv("FRESHET_STATE_DIR", str(tmp_path / "elsewhere"))
        with Process(kafka, stage.names.namespace, tmp_path / "second", *LOANS) as second:
            assert second.ended() == EXIT_SETTINGS
            pid = first.logged("started")["pid"]
            sentence = rf"slot 0 of ingestion on pipeline loans is taken by process {pid} on host a, .* s ago: choose"
            assert re.search(sentence, second.logged("settings")["error"])
        ready(first)
        assert first.terminate() == 0
    with Process(kafka, stage.names.namespace, tmp_path / "third", *LOANS) as third:
        name = stage.names.worker("ingestion", "0")
        stage.view.wait("its beat", lambda view: _host_of(view, name) == "b" or None)
        assert not third.log("watching_slot")
    monkeypatch.setenv("FRESHET_HOST", "c")
    monkeypatch.setenv("FRESHET_STATE_DIR", str(tmp_path / "a_third"))
    with Process(kafka, stage.names.namespace, tmp_path / "fourth", *LOANS) as fourth:
        ready(fourth)
        assert "host b" in fourth.logged("watching_slot")["reason"]


def test_it_waits_for_a_kafka_that_is_away_and_says_so(kafka: str, stage: LocalDeployment, tmp_path: Path) -> None:
    """A cold start of everything at once: it is alive, not ready, and begins by itself when Kafka answers."""
    port = free_port()
    with Process(f"127.0.0.1:{port}", stage.names.namespace, tmp_path / "log", *LOANS) as process:
        assert process.logged("waiting_for_kafka")["bootstrap_servers"] == f"127.0.0.1:{port}"
        assert process.get("/live") == (200, "yes\n")
        assert process.get("/ready") == (503, "starting\n")
        with closing(forward(port, kafka)):
            ready(process)
            assert process.terminate() == 0


def test_a_pipeline_that_nobody_has_published_is_named(kafka: str, stage: LocalDeployment, tmp_path: Path) -> None:
    """Ingestion waits for it, not ready, with a sentence that says how to publish it."""
    with Process(kafka, stage.names.namespace, tmp_path / "log", "ingestion", "--pipelines", "lones") as process:
        process.logged("topics_missing")
        status, reason = process.get("/ready")
        assert status == 503
        assert "pipeline lones waits" in reason
        assert "freshet apply" in reason
        assert process.terminate() == 0


def test_two_pipelines_of_one_process_are_both_served(kafka: str, stage: LocalDeployment, tmp_path: Path) -> None:
    """Each by a thread of its own: both answer, and both leave in order when the process is told to stop."""
    folder = tmp_path / "credit"
    shutil.copytree(pipelines_dir() / "loans", folder)
    spec = folder / "pipeline.yaml"
    spec.write_text(spec.read_text().replace("pipeline: loans", "pipeline: credit"))
    both = ("ingestion", "--pipelines", "loans,credit")
    with (
        LocalDeployment(kafka, stage.names.namespace, folder, tmp_path) as other,
        Process(kafka, stage.names.namespace, tmp_path / "log", *both) as process,
    ):
        other.apply()
        for applied in (stage, other):
            applied.producer.send(Send("events", [b"ada"] * 7, [framed(loan())] * 7))
        for applied in (stage, other):
            until(partial(_answered, applied), "its answers")
        ready(process)
        assert process.terminate() == 0
        assert process.log("stopped")


def _answered(stage: LocalDeployment) -> bool:
    return stage.unread("ingestion", "events") == 0
