"""The rights that are generated for Strimzi are enough: each service runs, and `apply` publishes, with no other."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from freshet.avro.control import encode
from freshet.contracts.messages import Decision
from freshet.contracts.shipped import pipelines_dir
from freshet.lab.local_deployment import LocalDeployment
from freshet.runtime.bus.protocol import Send
from freshet.runtime.provision import provision
from support.ingestion import framed, framed_feedback, loan
from support.observed import Observed, http_port, observing
from support.receiver import Receiver
from support.secured import SecuredKafka, granted
from support.services import Process, until

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(600)]

LOANS: Final = pipelines_dir() / "loans"
SERVICES: Final = ("ingestion", "inference", "drift", "registry", "retraining")


def apply(kafka: SecuredKafka, namespace: str, login: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """`freshet apply` of the example, as the job of the overlays runs it."""
    where = {"KAFKA_BOOTSTRAP_SERVERS": kafka.servers, "FRESHET_NAMESPACE": namespace}
    return subprocess.run(
        [sys.executable, "-m", "freshet.cli", "apply", "--file", str(LOANS)],
        env={**os.environ, **where, "FRESHET_KAFKA": json.dumps(login)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def stage(secured: SecuredKafka, namespace: str, tmp_path: Path) -> Iterator[LocalDeployment]:
    """Topics that somebody else made, as Strimzi does; nothing is published."""
    with LocalDeployment(secured.open_servers, namespace, LOANS, tmp_path) as made:
        provision(made.admin, namespace, [("loans", made.spec.partitions)])
        yield made


def test_apply_publishes_where_topics_are_there(secured: SecuredKafka, namespace: str, stage: LocalDeployment) -> None:
    """Twice: the second time it finds all as it should be. With a producer's rights it publishes nothing."""
    cli = dict(secured.user(granted("cli", namespace)))
    for _ in range(2):
        done = apply(secured, namespace, cli)
        assert done.returncode == 0, done.stderr
    assert apply(secured, namespace, dict(secured.user(granted("producers", namespace)))).returncode != 0


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_runs_with_the_rights_that_are_generated(
    secured: SecuredKafka, namespace: str, stage: LocalDeployment, tmp_path: Path, service: str
) -> None:
    """In a fixed slot, until it is ready (inference waits for a model); nothing that it does asks for another right."""
    stage.apply()
    stage.producer.send(Send("events", [b"ada"] * 2, [framed(loan()), b"bad"]))
    stage.producer.send(Send("feedback", [b"ada"] * 2, [framed_feedback(), b"bad"]))
    pipelines = () if service in ("registry", "retraining") else ("--pipelines", "loans")
    login = secured.user(granted(service, namespace))
    with Process(secured.servers, namespace, tmp_path / "log", service, *pipelines, kafka=login) as process:

        def serves() -> bool:
            status, text = process.get("/ready")
            return status == 200 or (service == "inference" and "model" in text)

        until(serves, "its readiness")
        if service == "ingestion":
            until(lambda: stage.unread("ingestion", "events") == 0, "its answers")
        assert [line for line in process.lines() if "Grant the user" in str(line.get("error"))] == []
        assert process.terminate() == 0


def test_detection_on_faust_logs_in_with_the_rights_that_are_generated(
    secured: SecuredKafka, namespace: str, stage: LocalDeployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client is another one, and takes user and password from the same settings."""
    stage.apply()
    monkeypatch.setenv("FRESHET_DRIFT_ENGINE", "faust")
    login = secured.user(granted("drift", namespace))
    run = ("drift-detect", "--pipelines", "loans")
    with Process(secured.servers, namespace, tmp_path / "log", *run, kafka=login) as process:
        until(lambda: process.get("/ready")[0] == 200, "its readiness")
        assert [line for line in process.lines() if "Grant the user" in str(line.get("error"))] == []
        assert process.terminate() == 0


def test_observe_sees_all_with_the_rights_that_are_generated(
    secured: SecuredKafka, namespace: str, stage: LocalDeployment, tmp_path: Path
) -> None:
    """Groups, topics, and with --verify what was promised: nothing that it asks for is refused."""
    stage.apply()
    stage.producer.send(Send("events", [b"ada"], [framed(loan())]))
    log = tmp_path / "observe.log"
    process = observing(secured.servers, namespace, log, secured.user(granted("observe", namespace)))
    try:
        port = until(lambda: http_port(log), "its start")
        here = Observed(stage, secured.servers, 0, tmp_path, {"observe": port})

        def judged() -> bool:
            refused = [line for line in log.read_text().splitlines() if "not_seen" in line or "not_judged" in line]
            assert refused == []
            return "freshet_verify_breaches{" in here.scrape("observe")

        until(judged, "its first judgement")
        assert here.one("observe", "freshet_lag_records", service="ingestion", topic="events") == 1
    finally:
        process.terminate()
        assert process.wait(60) == 0


def test_the_webhook_bridge_delivers_with_the_rights_that_are_generated(
    secured: SecuredKafka, namespace: str, stage: LocalDeployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads three topics, and commits how far it is under a transactional id of its own."""
    login = secured.user(granted("webhook", namespace))
    with Receiver() as receiver:
        for name, value in {"URL": receiver.url, "SECRET": "s" * 16, "LETTERS": str(tmp_path / "letters")}.items():
            monkeypatch.setenv(f"FRESHET_WEBHOOK_{name}", value)
        monkeypatch.setenv("FRESHET_STATE_DIR", str(tmp_path))
        with Process(secured.servers, namespace, tmp_path / "log", "webhook", kafka=login) as process:
            until(lambda: len(process.log("reading")) == 3, "its three topics")
            decision = Decision(pipeline="loans", about="command", subject="c", verdict="done", reason="Because.")
            for _ in range(2):  # the second one follows only when the first one is committed
                stage.producer.send(Send("decisions", [b"loans"], [encode(decision)]))
            until(lambda: len(receiver.got) == 2, "both")
            assert process.terminate() == 0
