"""Whether two versions of a schema can live side by side: each must read what the other wrote, and mean the same."""

import importlib
import json
from collections.abc import Iterator
from typing import Final

from freshet.avro.nodes import meanings
from freshet.avro.own_schemas import Schema
from freshet.avro.parsing import parse
from freshet.contracts.errors import SchemaError

_DIRECTIONS: Final = (("the new", "the old"), ("the old", "the new"))


def incompatibilities(new: Schema, old: Schema) -> list[str]:
    """Why these versions are not fully compatible, a sentence each; empty if they are.

    Full compatibility: readers and writers may be upgraded in any order. Beyond Avro's own rules a changed logical type
    is refused: milliseconds that become microseconds resolve without an error. Raises SchemaError on a schema that
    `lint` objects to, and on what `avro` cannot parse.
    """
    schemas = (new, old)
    reasons = [
        f"{reader} schema cannot read what {writer} one wrote: {why}"
        for (reader, writer), pair in zip(_DIRECTIONS, (schemas, schemas[::-1]), strict=True)
        for why in _unreadable(*pair)
    ]
    return reasons + list(_changed_meanings(new, old))


def unreadable(reader: Schema, writer: Schema) -> list[str]:
    """Why this reader cannot take what the writer wrote, a sentence each; empty if it can.

    One direction only: nobody asks for the way back. Raises SchemaError as `incompatibilities` does.
    """
    return [*_unreadable(reader, writer), *_changed_meanings(reader, writer)]


def _unreadable(reader: Schema, writer: Schema) -> Iterator[str]:
    avro = importlib.import_module("avro.compatibility")  # imported here, as most commands compare no schemas
    parse_by_avro = importlib.import_module("avro.schema").parse
    try:
        parsed = [parse_by_avro(json.dumps(schema)) for schema in (reader, writer)]
    except Exception as error:  # it refuses some schemas that fastavro takes, and raises many classes
        raise SchemaError(f"a schema cannot be compared: {error}") from error
    found = avro.ReaderWriterCompatibilityChecker().get_compatibility(*parsed)
    if found.incompatibilities:
        kinds = ", ".join(dict.fromkeys(kind.value.replace("_", " ") for kind in found.incompatibilities))
        yield f"{kinds} at {', '.join(sorted(found.locations))} ({'; '.join(sorted(found.messages))})."


def _changed_meanings(new: Schema, old: Schema) -> Iterator[str]:
    before, after = (
        {(path, kind): logical for path, kind, logical in meanings(parse(schema))} for schema in (old, new)
    )
    for place, meaning in before.items():
        if place in after and after[place] != meaning:
            was, now = (kind or f"a plain {place[1]}" for kind in (meaning, after[place]))
            yield (
                f"{place[0]} was {was} and is now {now}: the same bytes would mean something else. Give the new "
                "meaning a field of its own."
            )
