"""A schema that a stranger wrote events with, and whether the pipeline's event schema can read them."""

import json
from dataclasses import dataclass

from freshet.avro.compatibility import unreadable
from freshet.avro.decode import Decoder
from freshet.avro.own_schemas import Schema
from freshet.contracts.errors import FreshetError, SchemaError


@dataclass(frozen=True, slots=True)
class FoundSchema:
    """What a registry says of an id: the schema's text and type, or None if it does not know the id."""

    text: str | None
    kind: str = "AVRO"
    references: bool = False
    """Whether it refers to other schemas, which are not read."""


class UnfitSchemaError(FreshetError):
    """Events of this schema cannot become events of the pipeline; the message says why."""


def read_written(found: FoundSchema, reader: Schema) -> Schema:
    """The schema that was found. Raises UnfitSchemaError if the reader's schema cannot take what it wrote."""
    if found.kind != "AVRO" or found.text is None:
        raise UnfitSchemaError(f"it is a schema of the type {found.kind}, and only AVRO can be read.")
    if found.references:
        raise UnfitSchemaError("it refers to other schemas, which are not read: register it as one schema.")
    try:
        written = json.loads(found.text)
    except (ValueError, RecursionError):
        raise UnfitSchemaError("it is not JSON.") from None
    if not isinstance(written, dict):
        raise UnfitSchemaError("it is no record.")
    try:
        Decoder(written, reader_schema=reader)
        reasons = unreadable(reader, written)
    except SchemaError as error:
        raise UnfitSchemaError(str(error)) from None
    except RecursionError:
        raise UnfitSchemaError("it is nested deeper than this reader can follow.") from None
    if reasons:
        raise UnfitSchemaError(" ".join(reasons))
    return written
