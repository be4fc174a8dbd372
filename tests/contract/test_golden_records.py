"""Golden records: our code and Confluent's clients read and write the bytes that are on people's topics."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka.schema_registry import Schema as RegistrySchema
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from freshet.avro import Columns, Decoder, Encoder, Ragged, Strings, control, frame_header, frame_ids
from freshet.avro.frame import HEADER_BYTES
from freshet.avro.own_schemas import current_schema, schema_by_id, schema_id
from freshet.contracts.shipped import schemas_dir

EXAMPLES = sorted((schemas_dir() / "examples").glob("*/*.hex"))
ROLES = {message.__name__: role for role, message in control.CONTROL_ROLES.items()}
CONTROL = [path for path in EXAMPLES if path.parent.name in ROLES]
DATA = [path for path in EXAMPLES if path.parent.name not in ROLES]


def name(path: Path) -> str:
    """How a test is named after its golden record."""
    return f"{path.parent.name}-{path.stem}"


def golden(path: Path) -> bytes:
    """The framed bytes."""
    return bytes.fromhex(path.read_text())


def schema_of(value: bytes) -> dict[str, Any]:
    """The schema that the frame names."""
    return dict(schema_by_id(int(frame_ids([value])[0][0])).schema)


@pytest.mark.parametrize("path", CONTROL, ids=name)
def test_control_messages_hold(path: Path) -> None:
    """A control message of any release is read, and one of the newest is written again byte for byte."""
    value = golden(path)
    message = control.decode(ROLES[path.parent.name], value)
    if int(frame_ids([value])[0][0]) == schema_id(path.parent.name):
        assert control.encode(message) == value


@pytest.mark.parametrize("path", DATA, ids=name)
def test_data_records_hold(path: Path) -> None:
    """The columnar codec reads a data record of any release, and writes the same bytes again."""
    value = golden(path)
    decoded = Decoder(schema_of(value)).decode([value])
    assert decoded.refused == []
    assert Encoder(schema_of(value), int(frame_ids([value])[0][0])).encode(decoded.columns) == [value]


def columns_of(fields: dict[str, Any]) -> Columns:
    """Columns of one row, from a data record's JSON; the codec's dtypes are those of the schema's types."""
    made: dict[str, Any] = {}
    for field in current_schema("Prediction")["fields"]:
        kind, value = field["type"], fields[field["name"]]
        if field["name"].endswith("_topic"):
            made[field["name"]] = Strings.from_list([value.encode("latin-1")])
        elif kind == "string":
            made[field["name"]] = Strings.from_list([value])
        elif isinstance(kind, dict) and kind["type"] == "array":
            made[field["name"]] = Ragged.from_matrix(np.array([value], np.float32))
        else:
            made[field["name"]] = np.array([value], np.int32 if kind == "int" else np.int64)
    return made


def test_a_prediction_made_of_columns_is_the_golden_one() -> None:
    """What the example's JSON says, given as columns, becomes exactly the golden bytes."""
    path = schemas_dir() / "examples/Prediction/of-topics.json"
    columns = columns_of(json.loads(path.read_text()))
    encoder = Encoder(current_schema("Prediction"), schema_id("Prediction"))
    assert encoder.encode(columns) == [golden(path.with_suffix(".hex"))]


class Registry:
    """Confluent's in-memory registry. It gives its own ids, so the frame's id is exchanged on the way in and out."""

    def __init__(self) -> None:
        self.client = SchemaRegistryClient.new_client({"url": "mock://"})

    def register(self, schema: dict[str, Any]) -> int:
        """The registry's id for this schema."""
        return self.client.register_schema("t-value", RegistrySchema(json.dumps(schema), "AVRO"))

    def read(self, value: bytes) -> dict[str, Any]:
        """What Confluent's deserializer makes of a value of ours, timestamps as they are."""
        schema = without_logical_types(schema_of(value))
        theirs = frame_header(self.register(schema)) + value[HEADER_BYTES:]
        found = AvroDeserializer(self.client)(theirs, SerializationContext("t", MessageField.VALUE))
        assert isinstance(found, dict)
        return found

    def write(self, fields: dict[str, Any], schema: dict[str, Any], identifier: int) -> bytes:
        """What Confluent's serializer makes of these fields."""
        settings = {"auto.register.schemas": False, "subject.name.strategy": lambda _context, _record: "t-value"}
        self.register(schema)
        serializer = AvroSerializer(self.client, json.dumps(schema), conf=settings)
        theirs = serializer(fields, SerializationContext("t", MessageField.VALUE))
        assert isinstance(theirs, bytes)
        return frame_header(identifier) + theirs[HEADER_BYTES:]


def without_logical_types(schema: Any) -> Any:
    """The schema whose timestamps are plain longs, as our columns hold them; the bytes are the same."""
    if isinstance(schema, list):
        return [without_logical_types(branch) for branch in schema]
    if isinstance(schema, dict):
        return {key: without_logical_types(value) for key, value in schema.items() if key != "logicalType"}
    return schema


@pytest.mark.parametrize("path", EXAMPLES, ids=name)
def test_confluents_deserializer_reads_our_bytes(path: Path) -> None:
    """A consumer with Confluent's own client sees the fields that the example says."""
    value = golden(path)
    found = Registry().read(value)
    example = json.loads(path.with_suffix(".json").read_text())
    assert as_plain_json(found) == unwrapped(example)


@pytest.mark.parametrize("path", EXAMPLES, ids=name)
def test_we_read_what_confluents_serializer_writes(path: Path) -> None:
    """A producer with Confluent's own client writes the golden bytes, so whatever it writes we read."""
    value = golden(path)
    registry = Registry()
    schema = without_logical_types(schema_of(value))
    assert registry.write(registry.read(value), schema, int(frame_ids([value])[0][0])) == value


def test_missing_features_survive_confluents_clients() -> None:
    """A feature without a value is NaN on the wire, for other readers as for us."""
    schema = current_schema("FeatureVector")
    path = schemas_dir() / "examples/FeatureVector/of-a-topic.hex"
    columns = dict(Decoder(schema).decode([golden(path)]).columns)
    columns["values"] = Ragged.from_matrix(np.array([[1.5, np.nan, -np.inf]], np.float32))
    value = Encoder(schema, schema_id("FeatureVector")).encode(columns)[0]
    np.testing.assert_array_equal(Registry().read(value)["values"], [1.5, np.nan, -np.inf])


def as_plain_json(fields: Any) -> Any:
    """Decoded fields as JSON holds them: bytes as Latin-1 text."""
    if isinstance(fields, bytes):
        return fields.decode("latin-1")
    if isinstance(fields, dict):
        return {key: as_plain_json(value) for key, value in fields.items()}
    return [as_plain_json(value) for value in fields] if isinstance(fields, list) else fields


def unwrapped(example: dict[str, Any]) -> dict[str, Any]:
    """An example's fields without the type that Avro's JSON names around a union's value."""
    return {
        key: value["long"] if key == "expected_epoch" and isinstance(value, dict) else value
        for key, value in example.items()
    }
