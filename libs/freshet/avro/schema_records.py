"""What is kept on `freshet.schemas`: Avro schemas in the record format of Confluent's registry.

A registry of that kind (Confluent's, Karapace) can serve the topic read-only, so that any console or client reads ours.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fastavro.schema import to_parsing_canonical_form

from freshet.avro.own_schemas import Schema, schema_lock
from freshet.contracts.errors import ContractError
from freshet.contracts.topic_table import TopicNames, topic_table

_SCHEMA: Final = "SCHEMA"
_MAGIC: Final = 1

Key = tuple[str, int]
"""Subject and version."""


@dataclass(frozen=True, slots=True)
class SchemaRecord:
    """One version of a subject, and the id that frames its values. `schema` is the schema's JSON text."""

    subject: str
    version: int
    id: int
    schema: str

    @classmethod
    def of(cls, subject: str, version: int, identifier: int, schema: Schema) -> "SchemaRecord":
        """The record of a schema that is not yet text."""
        return cls(subject, version, identifier, json.dumps(schema, separators=(",", ":"), ensure_ascii=False))

    def key(self) -> bytes:
        """The Kafka key. Compaction goes by its bytes, so the order of the fields is part of the format."""
        fields = {"keytype": _SCHEMA, "subject": self.subject, "version": self.version, "magic": _MAGIC}
        return json.dumps(fields, separators=(",", ":")).encode()

    def value(self) -> bytes:
        """The Kafka value."""
        fields = {
            "subject": self.subject,
            "version": self.version,
            "id": self.id,
            "schema": self.schema,
            "deleted": False,
        }
        return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


def fold_schemas(records: Iterable[tuple[bytes | None, bytes | None]]) -> dict[Key, SchemaRecord]:
    """The schemas that stand after these (key, value) records of the topic, in order: the last record of a key counts.

    Deleted ones are left out, and so are a registry's other records (its configuration, its no-ops). Raises
    ContractError on anything that no registry writes, unless a later record of its key took it away.
    """
    newest: dict[bytes | None, bytes | None] = {}
    for raw_key, raw_value in records:
        newest.pop(raw_key, None)
        newest[raw_key] = raw_value
    table: dict[Key, SchemaRecord] = {}
    for key, value in newest.items():
        if value is not None:
            _fold(table, key, value)
    return table


def _fold(table: dict[Key, SchemaRecord], raw_key: bytes | None, raw_value: bytes) -> None:
    """Take in one record."""
    try:
        key = json.loads(raw_key or b"")
        if key["keytype"] != _SCHEMA:
            return
        at = (str(key["subject"]), int(key["version"]))
        value = json.loads(raw_value)
        if value.get("deleted", False):
            table.pop(at, None)
        else:
            table[at] = SchemaRecord(*at, int(value["id"]), str(value["schema"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ContractError(
            f"the schemas topic holds a record that no registry writes, with the key {raw_key!r:.200}: {error!r}. "
            "Until it is removed, nothing is published beside it. Find out who wrote it, then write a tombstone under "
            "that very key (a record with the same key and no value), for example with "
            "`kafka-console-producer.sh --reader-property parse.key=true --reader-property null.marker=NULL`."
        ) from error


def value_subject(names: TopicNames, role: str) -> str:
    """The subject of a topic's values, by Confluent's TopicNameStrategy."""
    return f"{names.topic(role)}-value"


def subject_of(key: bytes) -> str:
    """The subject that a record of the topic is about; empty for a registry's other records."""
    try:
        return str(json.loads(key).get("subject", ""))
    except (ValueError, AttributeError, RecursionError):
        return ""


def released_records(namespace: str, pipelines: Sequence[str]) -> list[SchemaRecord]:
    """All released schemas under the subjects of the control topics, and of these pipelines' topics."""
    scopes = [TopicNames(namespace), *(TopicNames(namespace, pipeline) for pipeline in pipelines)]
    return [
        SchemaRecord.of(value_subject(names, role), entry.version, entry.id, entry.schema)
        for names in scopes
        for role, topic in topic_table().items()
        if topic.per_pipeline == bool(names.pipeline)
        for entry in schema_lock()
        if entry.record == topic.message
    ]


def event_record(
    names: TopicNames, identifier: int, schema: Schema, published: Mapping[Key, SchemaRecord]
) -> SchemaRecord:
    """An event schema under the version that its id has in the events' subject already, or else the next one."""
    subject = value_subject(names, "events")
    ids = {version: record.id for (of, version), record in published.items() if of == subject}
    known = next((version for version, taken in ids.items() if taken == identifier), None)
    return SchemaRecord.of(subject, known or max(ids, default=0) + 1, identifier, schema)


def missing(wanted: Iterable[SchemaRecord], published: Mapping[Key, SchemaRecord]) -> list[SchemaRecord]:
    """The wanted records that are not yet published, in order.

    Raises ContractError if an id or a version is taken by another schema: readers would read nonsense. What does not
    change the bytes, such as documentation and defaults, may differ.
    """
    by_id = {record.id: record for record in published.values()}
    new = []
    for record in wanted:
        for taken in (by_id.get(record.id), published.get((record.subject, record.version))):
            if taken is not None and (taken.id != record.id or _bytes_of(taken) != _bytes_of(record)):
                raise ContractError(
                    f"{record.subject} version {record.version} (id {record.id}) cannot be published: the topic "
                    f"holds another schema as {taken.subject} version {taken.version} (id {taken.id}). Somebody else "
                    "publishes here; give this installation a namespace of its own."
                )
        if (record.subject, record.version) not in published:
            new.append(record)
    return new


def _bytes_of(record: SchemaRecord) -> str:
    """What decides how values are encoded: the parsing canonical form."""
    return to_parsing_canonical_form(json.loads(record.schema))
