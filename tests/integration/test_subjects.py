"""The facade as a process: what stock clients and consoles ask a schema registry, answered from the schemas topic."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from freshet.avro.own_schemas import current_schema, event_schema_id, schema_id
from freshet.contracts.shipped import pipelines_dir
from freshet.lab.local_deployment import LocalDeployment
from support.ingestion import SCHEMA, feedback, framed
from support.services import Process, free_port, until

pytestmark = pytest.mark.kafka


@pytest.fixture
def stage(kafka: str, namespace: str, tmp_path: Path) -> Iterator[LocalDeployment]:
    """The loans pipeline, applied."""
    with LocalDeployment(kafka, namespace, pipelines_dir() / "loans", tmp_path) as applied:
        applied.apply()
        yield applied


def ask(url: str, method: str = "GET", document: Any = None) -> tuple[int, Any]:
    """Status and JSON document of a request."""
    body = None if document is None else json.dumps(document).encode()
    try:
        with urlopen(Request(url, body, {"Content-Type": "application/json"}, method=method), timeout=20) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def test_consoles_and_stock_clients_read_our_topics(kafka: str, stage: LocalDeployment, tmp_path: Path) -> None:
    """Kafka UI's and AKHQ's requests, Confluent's deserializer with defaults, and probes; a write is refused."""
    port, names = free_port(), stage.names
    url = f"http://127.0.0.1:{port}"
    with Process(kafka, names.namespace, tmp_path / "log", "subjects", "--http-port", str(port)) as service:
        until(lambda: service.get("/ready")[0] == 200, "the facade to be ready")
        predictions = f"{names.topic('predictions')}-value"
        # Kafka UI (kafbat): a list, each newest version with its compatibility, a schema's page, and a check
        status, subjects = ask(f"{url}/subjects?subjectPrefix={quote(names.namespace)}&deleted=false")
        assert status == 200
        assert predictions in subjects
        assert ask(f"{url}/subjects?subjectPrefix=nobody") == (200, [])
        status, newest = ask(f"{url}/subjects/{predictions}/versions/latest?deleted=false")
        assert (status, newest["id"], newest["schemaType"]) == (200, schema_id("Prediction"), "AVRO")
        assert ask(f"{url}/subjects/{predictions}/versions")[1][-1] == newest["version"]
        assert ask(f"{url}/config/{predictions}?defaultToGlobal=true") == ask(f"{url}/config")
        events = f"{names.topic('events')}-value"
        check = f"{url}/compatibility/subjects/{events}/versions/latest?verbose=true"
        assert ask(check, "POST", {"schema": json.dumps(SCHEMA)})[1]["is_compatible"] is True
        other = {**SCHEMA, "fields": [*SCHEMA["fields"], {"name": "more", "type": "string"}]}
        status, judged = ask(check, "POST", {"schema": json.dumps(other)})
        assert (status, judged["is_compatible"]) == (200, False)
        assert "more" in judged["messages"][0]
        # AKHQ (Confluent's Java client): by id with its subject, the versions of an id, a schema by itself
        ours = f"{url}/schemas/ids/{schema_id('Prediction')}"
        assert "schema" in ask(f"{ours}?fetchMaxId=false&subject={predictions}")[1]
        assert {"subject": predictions, "version": newest["version"]} in ask(f"{ours}/versions")[1]
        assert ask(f"{url}/subjects/{predictions}/versions/latest/schema")[1]["name"] == "Prediction"
        assert ask(f"{url}/mode")[1] == {"mode": "READONLY"}
        assert ask(f"{url}/schemas/types") == (200, ["AVRO"])
        # nothing can be written
        for method, path in (("DELETE", f"/subjects/{events}"), ("PUT", "/config"), ("PUT", f"/mode/{events}")):
            status, refused = ask(url + path, method, {})
            assert (status, refused["error_code"]) == (422, 42205)

        registry = SchemaRegistryClient({"url": url})
        value = framed(feedback(), current_schema("Feedback"), schema_id("Feedback"))
        context = SerializationContext(names.topic("feedback"), MessageField.VALUE)
        assert AvroDeserializer(registry)(value, context)["label"] == "approved"
        assert registry.register_schema(events, Schema(json.dumps(SCHEMA), "AVRO")) == event_schema_id(SCHEMA)
        assert "freshet_ready" in service.get("/metrics")[1]
        assert service.terminate() == 0
