"""Everything that can be wrong with a `schemas/` folder, found before it is released."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import Any, Final

import yaml
from pydantic import ValidationError

from freshet.avro import frame_ids, lint
from freshet.avro.compatibility import incompatibilities
from freshet.avro.control import CONTROL_ROLES
from freshet.avro.own_schemas import OUR_ID_BIT, USER_ID_BIT, Schema, schema_fingerprint
from freshet.avro.parsing import parse
from freshet.contracts.errors import SchemaError
from freshet.contracts.topic_table import Topic
from freshet.pipeline.problem import Problem
from tools.schemas.agreement import disagreements
from tools.schemas.examples import as_fields, framed
from tools.schemas.folder import LOCK_FILE, TOPICS_FILE, Example, LockRow, SchemaFolder, as_json

_RELEASE: Final = "Run `make lock-schemas`"
_FOREIGN_REGISTRY_TOPIC: Final = "_schemas"


def check_folder(folder: SchemaFolder) -> list[Problem]:
    """Every problem of the folder, by file; empty if it may be released.

    The checks: schemas are valid, safe and documented; the lock is whole, and its newest entries are what this release
    writes; all versions of a record are fully compatible; topics, messages and schemas match; golden records hold.
    """
    sound = {record: schema for record, path, schema in folder.schemas() if not any(_faults(path, schema))}
    return sorted(
        (
            Problem(0, message, file)
            for check in (
                _schemas(folder),
                _lock(folder),
                _newest(folder, sound),
                _compatible(folder, sound),
                _topics(folder),
                _messages(folder, sound),
                _examples(folder),
            )
            for file, message in check
        ),
        key=lambda problem: (problem.file, problem.message),
    )


Found = Iterator[tuple[str, str]]
"""File and sentence of each problem."""


def _schemas(folder: SchemaFolder) -> Found:
    known = {path for _, path, _ in folder.schemas()}
    for path in folder.current.keys() - known:
        yield path, "is not a JSON object. Correct it, or restore it from version control."
    for _, path, schema in folder.schemas():
        for fault in _faults(path, schema):
            yield path, fault


def _faults(path: str, schema: Schema) -> Iterator[str]:
    faults = lint(schema)
    yield from faults
    if not faults:
        if not path.endswith(f"/{schema['name']}.avsc"):
            yield f"holds the record {schema['name']!r}; the file must be named after it."
        yield from _undocumented(schema, str(schema["name"]))


def _undocumented(schema: Any, path: str) -> Iterator[str]:
    """Types and fields without a `doc`: the schema file is the only documentation that other teams get."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _undocumented(branch, path)
    elif isinstance(schema, dict):
        if "fields" in schema:
            if not schema.get("doc", "").strip():
                yield f"{path} has no `doc`. Say in a sentence what it is."
            for field in schema["fields"]:
                if not field.get("doc", "").strip():
                    yield f"{path}.{field['name']} has no `doc`. Say in a sentence what it holds, with its unit."
                yield from _undocumented(field["type"], f"{path}.{field['name']}")
        for inner in ("type", "items", "values"):
            yield from _undocumented(schema.get(inner), path)


def _lock(folder: SchemaFolder) -> Found:
    for identifier, count in Counter(row.id for row in folder.lock).items():
        if count > 1:
            yield LOCK_FILE, f"id {identifier} is given {count} times; an id belongs to one schema for ever."
    for row in folder.lock:
        for fault in _row_faults(row, folder.history.get(row.history_file)):
            yield LOCK_FILE, f"{row.record} version {row.version}: {fault}"
    for record in {row.record for row in folder.lock}:
        versions = [row.version for row in folder.released(record)]
        if versions != list(range(1, len(versions) + 1)):
            yield LOCK_FILE, f"{record} has the versions {versions}; they must count up from 1 without a gap."
    for path in folder.history.keys() - {row.history_file for row in folder.lock}:
        yield path, f"is not in the lock. {_RELEASE} to release a version; history is never written by hand."


def _row_faults(row: LockRow, text: str | None) -> Iterator[str]:
    if not OUR_ID_BIT < row.id < USER_ID_BIT:
        yield (
            f"id {row.id} is outside {OUR_ID_BIT + 1} to {USER_ID_BIT - 1}: below are the ids of schema registries, "
            "above those of users' event schemas."
        )
    schema = as_json(text or "")
    if text is None or not isinstance(schema, dict):
        yield f"{row.history_file} is missing or not JSON. Restore it: topics still hold its records."
    elif hashlib.sha256(text.encode()).hexdigest() != row.sha256:
        yield f"{row.history_file} was changed after its release. Restore it; a change is a new version."
    elif schema_fingerprint(schema) != row.fingerprint:
        yield f"its fingerprint is {schema_fingerprint(schema)}, not {row.fingerprint}. Restore the lock."


def _newest(folder: SchemaFolder, sound: dict[str, Schema]) -> Found:
    for record, path, _ in folder.schemas():
        released = folder.released(record)
        newest = folder.history.get(released[-1].history_file) if released else None
        if record in sound and folder.current[path] != newest:
            yield path, f"is not the newest version in the lock. {_RELEASE}, which gives it the next version and id."


def _compatible(folder: SchemaFolder, sound: dict[str, Schema]) -> Found:
    for record, path, _ in folder.schemas():
        versions = {f"version {row.version}": folder.schema_of(row) for row in folder.released(record)}
        versions["this file"] = sound.get(record)
        known = [(name, schema) for name, schema in versions.items() if schema is not None]
        for (older, old), (newer, new) in combinations(known, 2):
            if old != new:
                for reason in incompatibilities(new, old):
                    yield path, f"{newer} against {older}: {reason}"


def _topics(folder: SchemaFolder) -> Found:
    records = {record for record, _, _ in folder.schemas()}
    try:
        table = [Topic(role=role, **stanza) for role, stanza in yaml.safe_load(folder.topics).items()]
    except (yaml.YAMLError, ValidationError, TypeError, AttributeError) as error:
        yield TOPICS_FILE, f"cannot be read: {error}"
        return
    for topic in table:
        if topic.message.isidentifier() and topic.message not in records:
            yield TOPICS_FILE, f"{topic.role}: there is no schema {topic.message!r} in data/ or control/."
        if topic.name == _FOREIGN_REGISTRY_TOPIC:
            yield (
                TOPICS_FILE,
                f"{topic.role}: {topic.name} is the private log of a user's schema registry; name it otherwise.",
            )
        model = CONTROL_ROLES.get(topic.role)
        if model is not None and model.__name__ != topic.message:
            yield TOPICS_FILE, f"{topic.role}: the message is {topic.message}, but control.py reads {model.__name__}."
    for record in records - {topic.message for topic in table}:
        yield TOPICS_FILE, f"no topic carries {record}. Give it a topic, or remove its schema."
    for role in CONTROL_ROLES.keys() - {topic.role for topic in table}:
        yield TOPICS_FILE, f"no topic has the role {role!r}, which control.py reads."


def _messages(folder: SchemaFolder, sound: dict[str, Schema]) -> Found:
    models = {model.__name__: model for model in CONTROL_ROLES.values()}
    for record, path, _ in folder.schemas():
        if not path.startswith("control/") or record not in sound:
            continue
        if record not in models:
            yield path, f"messages.py has no {record}, or control.py gives it no role."
        else:
            for difference in disagreements(models[record], parse(sound[record])):
                yield path, difference


def _examples(folder: SchemaFolder) -> Found:
    shown = set()
    for stem, example in folder.examples.items():
        record = stem.split("/")[1]
        try:
            shown.add(_shown(folder, record, example))
        except SchemaError as error:
            yield stem, str(error)
    for record, _, _ in folder.schemas():
        released = folder.released(record)
        if released and released[-1].id not in shown:
            yield (
                f"examples/{record}",
                f"no golden record is framed with id {released[-1].id}, the newest. Add a .json file.",
            )


def _shown(folder: SchemaFolder, record: str, example: Example) -> int:
    """The id that frames this golden record; raises SchemaError if its two files are not each other's image."""
    if example.json is None:
        raise SchemaError("the .json file is missing. Restore it, or delete the .hex file with it.")
    if example.hex is None:
        raise SchemaError(f"the .hex file is missing. {_RELEASE}, which writes it.")
    try:
        value = bytes.fromhex(example.hex)
    except ValueError as error:
        raise SchemaError(f"the .hex file is not hex: {error}.") from error
    identifier = int(frame_ids([value])[0][0])
    row = next((row for row in folder.released(record) if row.id == identifier), None)
    schema = folder.schema_of(row) if row is not None else None
    if row is None or schema is None:
        raise SchemaError(f"it is framed with id {identifier}, which is no released {record}.")
    if as_fields(value, schema) != as_json(example.json):
        raise SchemaError(
            "the .json file is not what the bytes in .hex hold. Write all fields out, and floats that 32 bits hold."
        )
    if framed(example.json, schema, row.id) != value:
        raise SchemaError("the bytes are no longer those in .hex: the encoding has changed, which breaks all readers.")
    return identifier
