"""The rights that are generated for console and gateway are enough: events in, pages out, and acting."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from freshet.contracts.shipped import pipelines_dir
from freshet.lab.local_deployment import LocalDeployment
from freshet.lab.ports import free_port
from freshet.runtime.bus.protocol import Send
from freshet.runtime.provision import provision
from support.secured import SecuredKafka, granted
from support.services import Process, until

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]

TOKEN: Final = "of-this-test-alone"
ROW: Final = {
    "applicant": "Ada", "salary": 6e4, "commission": 0, "age": 40, "elevel": 2, "car": 3, "zipcode": 4, "hvalue": 1e5,
    "hyears": 5, "loan": 5e4, "event_id": "one",
}  # fmt: skip


@pytest.fixture
def stage(secured: SecuredKafka, namespace: str, tmp_path: Path) -> Iterator[LocalDeployment]:
    """The loans pipeline is published, and one event was set aside; no other service runs."""
    with LocalDeployment(secured.open_servers, namespace, pipelines_dir() / "loans", tmp_path) as made:
        provision(made.admin, namespace, [("loans", made.spec.partitions)])
        made.apply()
        told = {
            "reason": "input_range",
            "role": "events",
            "topic": f"{namespace}loans.events",
            "partition": 0,
            "offset": 0,
        }
        headers = [(f"freshet.{name}", str(value).encode()) for name, value in told.items()]
        made.producer.send(Send("dead-letters", [b"Ada"], [b"once more"], [0], [headers]))
        yield made


@pytest.fixture
def edge(
    secured: SecuredKafka,
    namespace: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[httpx.Client]:
    """The service of this name with its generated rights, ready; nothing that it did was refused."""
    service, port = request.param, free_port()
    monkeypatch.setenv(f"FRESHET_{service.upper()}_TOKEN", TOKEN)
    where, login = f"http://127.0.0.1:{port}", secured.user(granted(service, namespace))
    arguments = (service, "--http-port", str(port))
    with (
        Process(secured.servers, namespace, tmp_path / "log", *arguments, kafka=login) as process,
        httpx.Client(base_url=where, timeout=30, headers={"Authorization": f"Bearer {TOKEN}"}) as client,
    ):
        process.logged("serving")
        until(lambda: client.get("/ready").status_code == 200, "its readiness")
        yield client
        assert [line for line in process.lines() if line["level"] != "info"] == []
        assert process.terminate() == 0


@pytest.mark.parametrize("edge", ["gateway"], indirect=True)
def test_the_gateway_takes_events_and_labels(stage: LocalDeployment, edge: httpx.Client) -> None:
    """Both are acknowledged; the answers of others it may read, so it can wait for one that never comes."""
    assert edge.post("/pipelines/loans/events?wait=100", json=ROW).status_code == 202
    label = {"event_id": "one", "entity": "Ada", "label": "declined"}
    assert edge.post("/pipelines/loans/labels", json=label).status_code == 202


@pytest.mark.parametrize("edge", ["console"], indirect=True)
def test_the_console_shows_and_acts(stage: LocalDeployment, edge: httpx.Client) -> None:
    """It asks for lag, reads dead letters, publishes a command, and sends again what was set aside."""
    assert edge.post("/enter", data={"token": TOKEN}).status_code == 303
    page = until(lambda: _found(edge, r'value="(redrive [^"]*input_range)"'), "the dead letter on its page")
    csrf = _found(edge, r'name="csrf" value="([^"]+)"')
    told = edge.post("/pipelines/loans/ask", data={"csrf": csrf, "ask": page})
    assert "1 events were sent again" in told.text
    until(lambda: stage.bus.spans("events")[0].end >= 1, "the event to be readable")
    retrain = until(lambda: _found(edge, r'value="(retrain [^"]*)"'), "its button")
    assert edge.post("/pipelines/loans/ask", data={"csrf": csrf, "ask": retrain}).status_code == 303
    until(lambda: stage.bus.spans("commands")[0].end == 1, "the command to be readable")


def _found(edge: httpx.Client, pattern: str) -> str:
    """What the pipeline's page has there; empty if it has not."""
    found = re.search(pattern, edge.get("/pipelines/loans").text)
    return found[1] if found else ""
