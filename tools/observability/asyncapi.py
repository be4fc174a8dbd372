"""AsyncAPI 3.0 of all topics, with the Avro schemas of what is on them."""

from typing import Any, Final

import yaml

from freshet.avro.own_schemas import current_schema, schema_lock
from freshet.contracts.topic_table import Topic, topic_table
from tools.observability.rules import HEAD

_AVRO: Final = "application/vnd.apache.avro;version=1.9.0"
_BYTES: Final = "application/octet-stream"


def asyncapi() -> str:
    """docs/asyncapi.yaml: who sends and receives what; a pipeline's own events have the schema of its event.avsc."""
    topics = topic_table()
    document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Freshet",
            "version": "0.1.0",
            "description": "All that Freshet's services, producers and consumers say to each other, over Kafka. "
            "Records are in Confluent's framing: a byte of 0, four bytes of schema id, then Avro.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": _AVRO,
        "channels": {_id(topic): _channel(topic) for topic in topics.values()},
        "operations": {name: operation for topic in topics.values() for name, operation in _operations(topic).items()},
        "components": {"messages": {_message_id(topic): _message(topic) for topic in topics.values()}},
    }
    return HEAD + yaml.safe_dump(document, sort_keys=False, width=120, allow_unicode=True)


def _id(topic: Topic) -> str:
    return topic.role.replace("/", "-")


def _message_id(topic: Topic) -> str:
    return topic.message if topic.message in _released() else _id(topic)


def _channel(topic: Topic) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": topic.name.replace("{p}", "{pipeline}"),
        "messages": {_message_id(topic): {"$ref": f"#/components/messages/{_message_id(topic)}"}},
        "bindings": {"kafka": _kafka(topic)},
    }
    if topic.per_pipeline:
        channel["parameters"] = {"pipeline": {"description": "Name of the pipeline."}}
    return channel


def _kafka(topic: Topic) -> dict[str, Any]:
    binding: dict[str, Any] = {"topicConfiguration": {"cleanup.policy": topic.cleanup.split(",")}}
    if isinstance(topic.partitions, int):
        binding["partitions"] = topic.partitions
    return binding


def _operations(topic: Topic) -> dict[str, Any]:
    """Each who writes sends, each who reads receives."""
    where = {"channel": {"$ref": f"#/channels/{_id(topic)}"}}
    sending = {f"{who}-sends-{_id(topic)}": {"action": "send", **where} for who in topic.writers}
    return sending | {f"{who}-receives-{_id(topic)}": {"action": "receive", **where} for who in topic.readers}


def _message(topic: Topic) -> dict[str, Any]:
    about: dict[str, Any] = {"bindings": {"kafka": {"key": {"type": "string", "description": topic.key}}}}
    if topic.message not in _released():
        return {"title": topic.message, "contentType": _BYTES, **about}
    schema = current_schema(topic.message)
    payload = {"schemaFormat": _AVRO, "schema": schema}
    return {
        "name": topic.message,
        "summary": str(schema.get("doc", "")),
        "contentType": _AVRO,
        "payload": payload,
        **about,
    }


def _released() -> frozenset[str]:
    return frozenset(entry.record for entry in schema_lock())
