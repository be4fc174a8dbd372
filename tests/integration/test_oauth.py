"""A real Kafka that asks for tokens (SASL/OAUTHBEARER): signed by a server of identities, or by nobody."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from freshet.contracts.shipped import pipelines_dir
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate.broker_record import LOOPBACK
from freshet.operate.requirements import REQUIREMENTS
from freshet.runtime.bus.protocol import Send
from freshet.runtime.reading import everything
from support.ingestion import framed, loan
from support.oauth import SECRET, OAuthKafka, oauth_kafka
from support.services import Process, until

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]

LIFETIME_S = 20
"""Of a token: the client gets the next one after 80 % of it, and shows that to Kafka after 90 %, which must not be the
old one even on a busy machine.
"""


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OAuthKafka]:
    """One broker for all tests of this file."""
    with oauth_kafka(tmp_path_factory.mktemp("oauth")) as made:
        yield made


def freshet(servers: str, login: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    where = {"KAFKA_BOOTSTRAP_SERVERS": servers, "FRESHET_NAMESPACE": "t1.", "FRESHET_KAFKA": json.dumps(login)}
    return subprocess.run(
        [sys.executable, "-m", "freshet.cli", *arguments],
        env={**os.environ, **where},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.mark.parametrize("door", ["signed", pytest.param("unsigned", marks=pytest.mark.faults)])
def test_all_that_freshet_needs_works_with_a_token(kafka: OAuthKafka, door: str, tmp_path: Path) -> None:
    """Topics, rights, groups, idempotent and transactional producers; the secret for the token comes from a file."""
    servers, login = kafka.unsigned_servers, kafka.unsigned_login()
    if door == "signed":
        servers, login = kafka.signed_servers, kafka.login()
        secret = tmp_path / "secret"
        secret.write_text(f"{login.pop('sasl.oauthbearer.client.secret')}\n")
        login["sasl.oauthbearer.client.secret.file"] = str(secret)
    done = freshet(servers, login, "doctor", "--requirements", "--json")
    assert done.returncode == 0, done.stderr
    found = {line["about"]: line["health"] for line in json.loads(done.stdout)}
    assert found.pop("copies") == "warn"  # of a single broker they are never well
    assert found.keys() == {one.about for one in REQUIREMENTS} - {"copies"}
    assert {*found.values()} == {"ok"}, found


@pytest.mark.parametrize(
    ("other", "said"),
    [
        pytest.param({"sasl.oauthbearer.client.secret": "wrong"}, "nobody has this secret", id="no token"),
        pytest.param({"sasl.oauthbearer.scope": "elsewhere"}, "invalid_token", id="refused by Kafka"),
        pytest.param(
            {"sasl.oauthbearer.token.endpoint.url": f"http://{LOOPBACK}:1/token"},
            "Failed to acquire SASL OAUTHBEARER token",
            id="nobody there",
            marks=pytest.mark.faults,
        ),
    ],
)
def test_who_is_refused_is_told_so(kafka: OAuthKafka, other: dict[str, str], said: str) -> None:
    """By the server of identities, or by Kafka, whose tokens are for somebody else: one sentence, and exit code 2."""
    done = freshet(kafka.signed_servers, kafka.login(**other), "topics", "plan")
    assert done.returncode == 2, done.stderr
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert f"Kafka at {kafka.signed_servers} does not let us in (" in error
    assert said in error
    assert "look at sasl.* in FRESHET_KAFKA" in error
    assert SECRET not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.faults  # it lives through several tokens
def test_a_worker_outlives_its_tokens_and_a_time_without_any(kafka: OAuthKafka, tmp_path: Path) -> None:
    """Tokens are renewed before they expire, and nothing is seen of it. Where none is to be had, the worker says so,
    goes on trying, and answers each event once when it is let in again.
    """
    identities, namespace, no_token = kafka.identities, "renewed.", "nobody has this secret"
    with LocalDeployment(kafka.open_servers, namespace, pipelines_dir() / "loans", tmp_path / "stage") as stage:
        stage.apply()

        def event(number: int) -> dict[str, Any]:
            return loan(event_id=f"e{number}", at=time.time_ns() // 1_000_000)

        def answered(number: int) -> None:
            stage.producer.send(Send("events", [b"ada"], [framed(event(number))]))
            until(lambda: stage.unread("ingestion", "events") == 0, f"the answer to event {number}")

        identities.lifetime_s = LIFETIME_S
        login, log = kafka.login(), tmp_path / "log"
        try:
            with Process(
                kafka.signed_servers, namespace, log, "ingestion", "--pipelines", "loans", kafka=login
            ) as process:
                until(lambda: process.get("/ready")[0] == 200, "its readiness")
                answered(1)
                identities.given.clear()
                time.sleep(2 * LIFETIME_S)
                assert len(identities.given) >= 2
                answered(2)
                assert len(process.log("rebalanced")) == 1
                identities.refuses = True
                time.sleep(1.5 * LIFETIME_S)
                stage.producer.send(Send("events", [b"ada"], [framed(event(3))]))
                until(lambda: any(no_token in line["error"] for line in process.log("kafka_refuses_us")), no_token)
                assert stage.unread("ingestion", "events") == 1
                identities.refuses = False
                answered(4)
                assert process.terminate() == 0
        finally:
            identities.refuses, identities.lifetime_s = False, 3600
        records = [value for batch in everything(stage.bus, "features") for value in batch.values]
        assert len(records) == len({*records}) == 4
    assert SECRET not in log.read_text()
