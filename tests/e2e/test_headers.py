"""Trace context of an event arrives on its prediction, through both services and a real Kafka."""

import shutil
from pathlib import Path

import pytest

from freshet.contracts.shipped import pipelines_dir
from freshet.lab.demo import loans
from freshet.lab.demo.training import train_and_pack
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate.tables.features import feature_rows
from freshet.runtime.bus.protocol import Send
from freshet.runtime.clock import SystemClock
from freshet.runtime.reading import everything
from support.ingestion import framed, loan

pytestmark = [pytest.mark.kafka, pytest.mark.e2e]

TRACE = ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")


def test_trace_context_arrives_on_the_prediction(kafka: str, namespace: str, tmp_path: Path) -> None:
    """With `headers: pass`; what is private to the producer stays behind, and events without headers have none."""
    folder = shutil.copytree(pipelines_dir() / "loans", tmp_path / "loans")
    text = (folder / "pipeline.yaml").read_text()
    (folder / "pipeline.yaml").write_text(text.replace("entity: applicant", "entity: applicant\nheaders: pass"))
    with LocalDeployment(kafka, namespace, folder, tmp_path / "logs", workers=1) as stage:
        stage.apply()
        stage.start()
        features, labels = feature_rows(stage.spec, stage.schema, loans.sample(stage.schema, 500, seed=5))
        bundle = train_and_pack("linear", features, labels, stage.spec).bundle
        stage.wait_live(stage.offer(bundle.data, bundle.manifest).version)
        headers = [[TRACE, ("ce_id", b"7"), ("secret", b"mine")], []]
        values = [framed(loan(event_id=name, at=SystemClock().now_ms())) for name in "ab"]
        stage.producer.send(Send("events", [b"ada"] * 2, values, [0] * 2, headers))
        stage.wait_drained()
        answers = [record for batch in everything(stage.bus, "predictions") for record in batch.records]
    assert [list(record.headers() or ()) for record in answers] == [[TRACE, ("ce_id", b"7")], []]
