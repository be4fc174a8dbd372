"""Our Avro schemas and their permanent ids (`schemas/registry.lock.json`)."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from fastavro.schema import fingerprint, to_parsing_canonical_form

from freshet.contracts.errors import SchemaError
from freshet.contracts.shipped import schemas_dir

Schema = Mapping[str, Any]

USER_ID_BIT = 1 << 30
"""Ids of users' event schemas have this bit set; ours, in the lock, stay below it."""

OUR_ID_BIT = 1 << 29
"""Ids of our own schemas count up from here: schema registries count from 1 (or 100,000), and never come this far."""

_NEXT_IDS: Final = 1000
"""So many ids after ours are taken for those of newer releases: more than they will need, and few among all numbers."""


@dataclass(frozen=True, slots=True)
class LockEntry:
    """One released schema: its id never changes, its fingerprint is CRC-64-AVRO of the canonical form."""

    record: str
    version: int
    id: int
    fingerprint: str
    sha256: str
    schema: Schema


def event_schema_id(schema: Schema) -> int:
    """The permanent id of a user's event schema: from its content, so that any producer can compute it offline.

    The first 30 bits of the sha256 of the schema's parsing canonical form, with bit 30 set.
    """
    canonical = to_parsing_canonical_form(dict(schema)).encode()
    return USER_ID_BIT | (int.from_bytes(hashlib.sha256(canonical).digest()[:4], "big") >> 2)


def may_be_event_id(identifier: int) -> bool:
    """Whether `freshet apply` may give this id to an event schema. The ids of a schema registry are all smaller."""
    return USER_ID_BIT <= identifier < 2 * USER_ID_BIT


def schema_fingerprint(schema: Schema) -> str:
    """CRC-64-AVRO of the parsing canonical form, as hex."""
    return str(fingerprint(to_parsing_canonical_form(dict(schema)), "CRC-64-AVRO"))


@cache
def current_schema(record: str) -> Schema:
    """The schema that this release writes for the record, from `data/` or `control/`."""
    for plane in ("data", "control"):
        path = schemas_dir() / plane / f"{record}.avsc"
        if path.is_file():
            return dict(json.loads(path.read_text(encoding="utf-8")))
    raise SchemaError(f"there is no schema {record!r} in schemas/data or schemas/control.")


@cache
def schema_lock() -> tuple[LockEntry, ...]:
    """All released schemas, oldest first."""
    lock = json.loads((schemas_dir() / "registry.lock.json").read_text(encoding="utf-8"))
    entries = []
    for row in lock["schemas"]:
        text = (schemas_dir() / "history" / row["record"] / f"{row['version']}.avsc").read_text(encoding="utf-8")
        entries.append(LockEntry(**row, schema=json.loads(text)))
    return tuple(entries)


@cache
def schema_id(record: str) -> int:
    """The id that frames this release's version of the record."""
    return [entry.id for entry in schema_lock() if entry.record == record][-1]


@cache
def schema_by_id(identifier: int) -> LockEntry:
    """The released schema with this id; raises SchemaError if the lock does not know it."""
    for entry in schema_lock():
        if entry.id == identifier:
            return entry
    raise SchemaError(
        f"schema id {identifier} is not in schemas/registry.lock.json: was it written by a newer Freshet?"
    )


def is_newer(identifier: int) -> bool:
    """Whether a later release of Freshet may have given out this id: they go on from ours, one by one."""
    return 0 < identifier - _newest_id() <= _NEXT_IDS


@cache
def _newest_id() -> int:
    return max(entry.id for entry in schema_lock())
