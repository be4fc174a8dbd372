"""What lies in a `schemas/` folder, read but not yet judged."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from freshet.avro.own_schemas import Schema
from freshet.contracts.errors import SchemaError

LOCK_FILE = "registry.lock.json"
TOPICS_FILE = "topics.yaml"
PLANES = ("data", "control")


class LockRow(BaseModel):
    """One line of the lock: a released version of a record. Nothing in it ever changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    record: str
    version: int
    id: int
    fingerprint: str
    sha256: str

    @property
    def history_file(self) -> str:
        """Where the text of this version is kept, below the folder."""
        return f"history/{self.record}/{self.version}.avsc"


class Example(NamedTuple):
    """A golden record: its fields in Avro's JSON encoding, its framed bytes in hex; None where a file is missing."""

    json: str | None
    hex: str | None


@dataclass(frozen=True, slots=True)
class SchemaFolder:
    """All texts of the folder. Paths are relative to it, with slashes."""

    current: Mapping[str, str]
    """Path of each schema that this release writes (`data/` or `control/`) → its text."""
    lock: tuple[LockRow, ...]
    history: Mapping[str, str]
    """Path of each released schema → its text."""
    topics: str
    examples: Mapping[str, Example]
    """Path of each golden record without its ending → the record."""

    @classmethod
    def load(cls, root: Path) -> "SchemaFolder":
        """Read the folder; raises SchemaError if a file that must be there cannot be read."""
        try:
            lock = json.loads((root / LOCK_FILE).read_text())
            rows = tuple(LockRow.model_validate(row) for row in lock["schemas"])
            topics = (root / TOPICS_FILE).read_text()
        except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
            raise SchemaError(f"{root} is not a complete schemas folder: {error}") from error
        jsons, hexes = _texts(root, "examples/*/*.json"), _texts(root, "examples/*/*.hex")
        stems = sorted({path.rpartition(".")[0] for path in (*jsons, *hexes)})
        return cls(
            current={path: text for plane in PLANES for path, text in _texts(root, f"{plane}/*.avsc").items()},
            lock=rows,
            history=_texts(root, "history/*/*.avsc"),
            topics=topics,
            examples={stem: Example(jsons.get(f"{stem}.json"), hexes.get(f"{stem}.hex")) for stem in stems},
        )

    def schemas(self) -> Iterator[tuple[str, str, Schema]]:
        """Record, path and schema of each current schema that is JSON at all."""
        for path, text in self.current.items():
            schema = as_json(text)
            if isinstance(schema, dict):
                yield record_of(path), path, schema

    def released(self, record: str) -> list[LockRow]:
        """The record's versions, oldest first."""
        return sorted((row for row in self.lock if row.record == record), key=lambda row: row.version)

    def schema_of(self, row: LockRow) -> Schema | None:
        """The released schema of a row; None if its history file is missing or damaged."""
        schema = as_json(self.history.get(row.history_file, ""))
        return schema if isinstance(schema, dict) else None


def record_of(path: str) -> str:
    """The record that a schema file is named after."""
    return path.rpartition("/")[2].removesuffix(".avsc")


def as_json(text: str) -> Any:
    """What the text parses to; None if it is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _texts(root: Path, pattern: str) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): path.read_text() for path in sorted(root.glob(pattern))}
