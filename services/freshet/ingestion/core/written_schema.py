"""A schema that a stranger wrote events with: whether the pipeline's event schema can read them."""

import json

from freshet.avro import Decoder
from freshet.avro.compatibility import unreadable
from freshet.avro.schemas import Schema
from freshet.contracts.errors import FreshetError, SchemaError


class UnfitSchemaError(FreshetError):
    """Events of this schema cannot become events of the pipeline; the message says why."""


def read_written(text: str, reader: Schema) -> Schema:
    """The schema in this JSON text. Raises UnfitSchemaError if the reader's schema cannot take what it wrote."""
    try:
        written = json.loads(text)
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
