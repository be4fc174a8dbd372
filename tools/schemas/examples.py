"""Golden records: JSON and framed bytes of one record, which must stay each other's image for ever.

The JSON is Avro's own encoding, so that any Avro tool reads it: bytes are Latin-1 text, a union's value names its type.
"""

import io
import json
from typing import Any

from fastavro import json_reader, json_writer, schemaless_reader, schemaless_writer
from fastavro.schema import parse_schema

from freshet.avro.frame import HEADER_BYTES, frame_header
from freshet.avro.own_schemas import Schema
from freshet.contracts.errors import SchemaError


def framed(text: str, schema: Schema, schema_id: int) -> bytes:
    """The Kafka value of a record given as JSON; raises SchemaError if it is not one of this schema."""
    parsed = parse_schema(dict(schema))
    body = io.BytesIO()
    try:
        fields = next(json_reader(io.StringIO(json.dumps(json.loads(text))), parsed))
        schemaless_writer(body, parsed, fields)
    except Exception as error:  # fastavro's exceptions share no base class
        raise SchemaError(f"it is not a {schema['name']} in Avro's JSON encoding: {error!r}") from error
    return frame_header(schema_id) + body.getvalue()


def as_fields(value: bytes, schema: Schema) -> Any:
    """What the JSON of a framed value parses to; raises SchemaError if its bytes are not exactly one record."""
    parsed, body, text = parse_schema(dict(schema)), io.BytesIO(value), io.StringIO()
    body.seek(HEADER_BYTES)
    try:
        json_writer(text, parsed, [schemaless_reader(body, parsed, None)])
    except Exception as error:  # as above
        raise SchemaError(f"its bytes are not a {schema['name']}: {error!r}") from error
    if body.read(1):
        raise SchemaError(f"bytes are left over after the {schema['name']}.")
    return json.loads(text.getvalue())
