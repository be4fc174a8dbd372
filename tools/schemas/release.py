"""Releases what has changed in a `schemas/` folder: next version, next id, history, golden bytes."""

import hashlib
import json
from collections.abc import Mapping

from freshet.avro import lint
from freshet.avro.compatibility import incompatibilities
from freshet.avro.own_schemas import OUR_ID_BIT, schema_fingerprint
from freshet.contracts.errors import SchemaError
from tools.schemas.examples import framed
from tools.schemas.folder import LOCK_FILE, LockRow, SchemaFolder, as_json, record_of

_FIRST_ID = OUR_ID_BIT + 1


def release(folder: SchemaFolder) -> dict[str, str]:
    """The files to write, by path, so that the lock's newest entries are the current schemas; {} if they are already.

    Ids and versions only ever count up; nothing that was released is changed. Golden records that have no bytes yet get
    them. Raises SchemaError, with every reason, if a changed schema is not fully compatible with all its versions.
    """
    rows, files, reasons = list(folder.lock), dict[str, str](), list[str]()
    for path, text in folder.current.items():
        released = folder.released(record_of(path))
        if released and folder.history.get(released[-1].history_file) == text:
            continue
        reasons += [f"{path}: {reason}" for reason in _faults(folder, path, text)]
        if not reasons:
            row = _row(path, text, len(released) + 1, max((row.id for row in rows), default=_FIRST_ID - 1) + 1)
            rows.append(row)
            files[row.history_file] = text
    if reasons:
        raise SchemaError("\n".join(reasons))
    if files:
        files[LOCK_FILE] = json.dumps({"schemas": [row.model_dump() for row in rows]}, indent=2) + "\n"
    return files | _golden(folder, rows, files)


def _row(path: str, text: str, version: int, identifier: int) -> LockRow:
    return LockRow(
        record=record_of(path),
        version=version,
        id=identifier,
        fingerprint=schema_fingerprint(json.loads(text)),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
    )


def _faults(folder: SchemaFolder, path: str, text: str) -> list[str]:
    schema = as_json(text)
    faults = lint(schema)
    versions = [] if faults else [(row.version, folder.schema_of(row)) for row in folder.released(record_of(path))]
    return faults + [
        f"against version {version}: {reason}"
        for version, old in versions
        for reason in (["its history is missing."] if old is None else incompatibilities(schema, old))
    ]


def _golden(folder: SchemaFolder, rows: list[LockRow], files: Mapping[str, str]) -> dict[str, str]:
    """Hex for each golden record that has none, framed with the newest id of its record."""
    written = {}
    for stem, example in folder.examples.items():
        newest = [row for row in rows if row.record == stem.split("/")[1]][-1:]
        if example.json is None or example.hex is not None or not newest:
            continue
        text = files.get(newest[0].history_file) or folder.history[newest[0].history_file]
        written[f"{stem}.hex"] = framed(example.json, json.loads(text), newest[0].id).hex() + "\n"
    return written
