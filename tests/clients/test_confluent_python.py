"""Confluent's Python serializer and deserializer, unmodified, on `freshet schemas serve`."""

import io
import json
from typing import Any

import fastavro
import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from freshet.avro.own_schemas import current_schema, event_schema_id, schema_id
from freshet.lab.local_deployment import LocalDeployment
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.reading import everything
from support.ingestion import SCHEMA, framed, loan

pytestmark = pytest.mark.kafka


@pytest.fixture
def registry(registry_url: str) -> SchemaRegistryClient:
    """Confluent's client of the schemas of this namespace."""
    return SchemaRegistryClient({"url": registry_url})


@pytest.mark.parametrize(
    "settings", [{}, {"auto.register.schemas": False}, {"auto.register.schemas": False, "use.latest.version": True}]
)
def test_the_serializer_writes_what_ingestion_reads(
    kafka: str, stage: LocalDeployment, registry: SchemaRegistryClient, settings: dict[str, Any]
) -> None:
    """In each usual configuration: the bytes on the topic are those of an offline producer, and they decode again."""
    topic = stage.names.topic("events")
    context = SerializationContext(topic, MessageField.VALUE)
    value = AvroSerializer(registry, json.dumps(SCHEMA), conf=settings)(loan(), context)
    assert value == framed(loan(), identifier=event_schema_id(SCHEMA))
    producer = Producer({"bootstrap.servers": kafka})
    producer.produce(topic, value, b"ada")
    assert producer.flush(30) == 0
    bus = KafkaBus(kafka, stage.names)
    (read,) = (value for batch in everything(bus, "events") for value in batch.values)
    assert AvroDeserializer(registry)(read, context)["event_id"] == "e1"


def test_the_deserializer_reads_predictions(stage: LocalDeployment, registry: SchemaRegistryClient) -> None:
    """Whose schema nobody gave to it."""
    schema = fastavro.parse_schema(dict(current_schema("Feedback")))
    body = io.BytesIO()
    known = {"event_id": "e", "entity": "d", "label": "approved", "labelled_at": 5, "revision": 0}
    fastavro.schemaless_writer(body, schema, known)
    value = b"\0" + schema_id("Feedback").to_bytes(4, "big") + body.getvalue()
    context = SerializationContext(stage.names.topic("feedback"), MessageField.VALUE)
    assert AvroDeserializer(registry)(value, context)["label"] == "approved"
    names = registry.get_latest_version(f"{stage.names.topic('predictions')}-value")
    assert names.schema_id == schema_id("Prediction")


def test_another_schema_is_refused_with_the_way_out(stage: LocalDeployment, registry: SchemaRegistryClient) -> None:
    """The serializer's own error names `freshet apply`; nothing is written."""
    other = {**SCHEMA, "fields": [*SCHEMA["fields"], {"name": "more", "type": "int", "default": 0}]}
    context = SerializationContext(stage.names.topic("events"), MessageField.VALUE)
    with pytest.raises(SchemaRegistryError, match="freshet apply"):
        AvroSerializer(registry, json.dumps(other))({**loan(), "more": 1}, context)
