"""The gateway on a real Kafka: what it acknowledges lies on the topic, and the answer that it gives is there."""

import json
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from typing import Any, Final

import pytest

from freshet.avro.framed import FramedReader
from freshet.client import Client
from freshet.lab.demo import loans
from freshet.lab.demo.training import train_and_pack
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate.event_values import plain
from freshet.operate.tables.features import feature_rows
from freshet.runtime.reading import everything
from support.gateway import OpenGateway, gateway

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

ROW: Final[dict[str, Any]] = {
    "applicant": "Ada",
    "salary": 60_000.0,
    "commission": 0.0,
    "age": 40,
    "elevel": 2,
    "car": 3,
    "zipcode": 4,
    "hvalue": 100_000.0,
    "hyears": 5,
    "loan": 50_000.0,
}


@pytest.fixture
def door(stage: LocalDeployment, kafka: str, namespace: str) -> OpenGateway:
    """A gateway to it; ends with the stage."""
    return gateway(stage.supervisor, kafka, namespace)


def lying(stage: LocalDeployment, role: str) -> dict[tuple[int, int], bytes]:
    """All values of a topic by partition and offset."""
    found: dict[tuple[int, int], bytes] = {}
    for batch in everything(stage.bus, role):
        at = zip(batch.partitions.tolist(), batch.offsets.tolist(), strict=True)
        found |= dict(zip(at, [value or b"" for value in batch.values], strict=True))
    return found


def test_an_event_goes_in_and_its_prediction_comes_out(
    stage: LocalDeployment, door: OpenGateway, kafka: str, namespace: str
) -> None:
    """202 with a place; `wait` gives the prediction or the dead letter; a label lies on the feedback topic."""
    status, placed = door.post("/pipelines/loans/events", ROW | {"event_id": "first"})
    assert (status, placed["id"], placed["topic"]) == (202, "first", f"{namespace}loans.events")
    assert (placed["partition"], placed["offset"]) in lying(stage, "events")
    status, late = door.post("/pipelines/loans/events?wait=300", ROW)
    assert status == 202, "nobody answers yet, which is no error"
    assert "prediction" not in late

    stage.start()
    sample = loans.sample(stage.schema, 2000, seed=1)
    rows, labels = feature_rows(stage.spec, stage.schema, sample)
    bundle = train_and_pack("linear", rows, labels, stage.spec).bundle
    version = stage.offer(bundle.data, bundle.manifest).version
    stage.wait_reached(stage.wait_live(version).epoch)
    stage.wait_drained()

    with door.tail("loans") as tail:
        status, told = door.post("/pipelines/loans/events?wait=30000", [ROW, ROW | {"applicant": "Bob", "age": 17}])
        assert status == 200
        answer, letter = told[0]["prediction"], told[1]["dead_letter"]
        assert json.loads(tail.recv(timeout=30)) == answer
    assert (answer["event_id"], answer["entity"], answer["version"]) == (told[0]["id"], "Ada", version)
    assert answer["label"] == max(answer["scores"], key=answer["scores"].get)
    assert letter["reason"] == "input_range"
    assert "age" in letter["detail"]
    with Client(kafka, namespace=namespace) as client:
        columns = client.predictions("loans")
    at = columns["event_id"].tolist().index(told[0]["id"])
    assert columns["scores"][at].tolist() == pytest.approx(list(answer["scores"].values()))
    assert (columns["partition"][at], columns["offset"][at]) == (answer["partition"], answer["offset"])

    truth = {"event_id": told[0]["id"], "entity": "Ada", "label": "declined"}
    status, placed = door.post("/pipelines/loans/labels", truth)
    assert status == 202
    feedback = FramedReader.of("Feedback", max_bytes=1 << 20)
    written = lying(stage, "feedback")[placed["partition"], placed["offset"]]
    assert {
        name: plain(column)[0] for name, column in feedback.read([written]).columns.items()
    }.items() >= truth.items()


def test_what_it_acknowledged_before_it_was_killed_is_there(stage: LocalDeployment, door: OpenGateway) -> None:
    """Killed under load, and started again: every 202 has its event on the topic, at the place that it named."""
    acknowledged: dict[tuple[int, int], str] = {}
    failed = threading.Event()

    def send(sender: int) -> None:
        for number in range(2_000):
            event_id = f"{sender}-{number}"
            try:
                status, placed = door.post("/pipelines/loans/events", ROW | {"event_id": event_id})
            except (OSError, HTTPException):  # it was killed before it answered, or while it did
                failed.set()
                return
            assert status == 202
            acknowledged[placed["partition"], placed["offset"]] = event_id

    with ThreadPoolExecutor(8) as pool:
        sending = [pool.submit(send, sender) for sender in range(8)]
        deadline = time.monotonic() + 60
        while len(acknowledged) < 200 and time.monotonic() < deadline:
            time.sleep(0.01)
        stage.supervisor.kill("gateway")
        for one in sending:
            one.result()
    assert failed.is_set(), "it was killed while they sent"
    values = lying(stage, "events")
    assert len(acknowledged) >= 200
    assert [event_id for at, event_id in acknowledged.items() if event_id.encode() not in values.get(at, b"")] == []
    door.wait("/ready")
    assert door.post("/pipelines/loans/events", ROW)[0] == 202


def test_without_kafka_nothing_is_acknowledged(stage: LocalDeployment) -> None:
    """503 with a reason, at the start and for as long as nobody answers."""
    door = gateway(stage.supervisor, "127.0.0.1:1", "", name="alone", until="/live")
    status, told = door.post("/pipelines/loans/events", ROW)
    assert (status, told["error"]) == (503, "kafka_away")
    with pytest.raises(urllib.error.HTTPError, match="503"):
        urllib.request.urlopen(f"{door.address}/ready", timeout=10)
    assert door.get("/metrics").count(
        'freshet_requests_total{pipeline="",route="events",service="gateway",status="503"} 1'
    )


def test_it_ends_when_it_is_told_to(stage: LocalDeployment, door: OpenGateway) -> None:
    """A request that waits gets its place before the process ends."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(door.post, "/pipelines/loans/events?wait=10000", ROW)
        stage.view.wait("the event", lambda _: any(span.end for span in stage.bus.spans("events").values()) or None)
        stage.supervisor.stop("gateway")
        status, placed = waiting.result()
    assert status == 202
    assert (placed["partition"], placed["offset"]) in lying(stage, "events")
