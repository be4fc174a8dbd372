"""Rows of a CSV file as events of a pipeline: columns become event fields by name, and what is missing is filled in."""

import csv
import gzip
import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from freshet.contracts.codec import Column
from freshet.contracts.codec.plan import Leaf, column_of, plan_of
from freshet.contracts.codec.schema import parse
from freshet.contracts.errors import ContractError
from freshet.contracts.event_fields import EventField, event_fields
from freshet.contracts.pipeline import PipelineSpec
from freshet.contracts.schemas import Schema
from freshet.local.load import BATCH_ROWS, Events

Row = Sequence[str]


class CsvEvents:
    """The events of one file, as often as it is iterated: the same rows give the same events, ids included.

    Without a column of that name, the event id is made from pipeline, file name and row; the entity is one of
    `entities` in turn; the event time is left to whoever sends. Nullable fields and those with a default may be absent.
    """

    def __init__(
        self, path: Path, spec: PipelineSpec, schema: Schema, *, label: str | None = None, entities: int = 100
    ) -> None:
        """Reads the first line. Raises ContractError if a field cannot be filled or the label column is missing."""
        self._path = path
        self._spec = spec
        self._label = label
        self._entities = entities
        with _reading(path) as lines:
            self._header = next(lines, [])
        self._at = {name: index for index, name in enumerate(self._header)}
        self._fields = event_fields(schema)
        self._leaves = [
            leaf for leaf in plan_of(parse(schema)) if leaf.name != spec.event_time or leaf.name in self._at
        ]
        self._defaults = {field["name"]: field["default"] for field in schema["fields"] if "default" in field}
        self._check()

    @property
    def unused(self) -> list[str]:
        """Columns of the file that no event field is named after."""
        return [name for name in self._header if name not in self._fields and name != self._label]

    def __iter__(self) -> Iterator[Events]:
        """Up to a thousand events at a time; raises ContractError at the first cell that cannot be read."""
        with _reading(self._path) as lines:
            next(lines, None)
            for first in itertools.count(0, BATCH_ROWS):
                rows = list(itertools.islice(lines, BATCH_ROWS))
                if not rows:
                    return
                yield self._events(first, rows)

    def _check(self) -> None:
        missing = [leaf.name for leaf in self._leaves if not self._can_fill(leaf)]
        if self._label is not None and self._label not in self._at:
            missing.append(self._label)
        if missing:
            unused = f" Columns that no event field is named after: {', '.join(self.unused)}." if self.unused else ""
            raise ContractError(
                f"{self._path} has no column {', '.join(missing)}, which pipeline {self._spec.pipeline!r} needs."
                f"{unused} Rename columns in the file's first line."
            )

    def _can_fill(self, leaf: Leaf) -> bool:
        if leaf.name in self._at:
            return self._fields[leaf.name].kind != "other"
        return (
            leaf.null_branch is not None
            or leaf.name in self._defaults
            or leaf.name in (self._spec.event_id, self._spec.entity)
        )

    def _events(self, first: int, rows: Sequence[Row]) -> Events:
        for row, cells in enumerate(rows, first):
            if len(cells) != len(self._header):
                raise self._refusal(row, f"there are {len(cells)} cells, but {len(self._header)} columns")
        columns = {leaf.name: self._column(leaf, first, rows) for leaf in self._leaves}
        return Events(columns, None if self._label is None else self._labels(self._label, first, rows))

    def _column(self, leaf: Leaf, first: int, rows: Sequence[Row]) -> Column:
        name, field = leaf.name, self._fields[leaf.name]
        if name in self._at:
            cells = (row[self._at[name]] for row in rows)
            return column_of(leaf, [self._value(field, row, cell) for row, cell in enumerate(cells, first)])
        numbers = range(first, first + len(rows))
        if name == self._spec.event_id:
            return column_of(leaf, [self._event_id(field, row) for row in numbers])
        if name == self._spec.entity:
            entities = (row % self._entities for row in numbers)
            return column_of(leaf, [at if field.kind == "integer" else f"{name}-{at}" for at in entities])
        return column_of(leaf, [self._defaults.get(name)] * len(rows))

    def _value(self, field: EventField, row: int, cell: str) -> Any:
        if not cell and field.nullable:
            return None
        if field.kind == "enum" and cell not in field.symbols:
            raise self._refusal(row, f"column {field.name!r} holds {cell!r}, none of {', '.join(field.symbols)}")
        what, read = _READERS[field.kind]
        try:
            return read(cell) * field.ticks_per_ms if field.kind == "time" else read(cell)
        except (ValueError, KeyError):
            raise self._refusal(row, f"column {field.name!r} holds {cell!r}, which is not {what}") from None

    def _event_id(self, field: EventField, row: int) -> Any:
        if field.kind == "integer":
            return row
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"freshet/{self._spec.pipeline}/{self._path.name}/{row}"))

    def _labels(self, label: str, first: int, rows: Sequence[Row]) -> list[str]:
        labels = [row[self._at[label]] for row in rows]
        known = self._spec.target.classes
        for row, text in enumerate(labels, first):
            if known and text not in known:
                raise self._refusal(row, f"label {text!r} is none of the pipeline's classes {', '.join(known)}")
        return labels

    def _refusal(self, row: int, why: str) -> ContractError:
        return ContractError(f"{self._path}:{row + 2}: {why}.")  # lines count from 1, and the first is the header


def sample_rows(path: Path, count: int) -> tuple[list[str], list[list[str]]]:
    """The first line of a CSV file, and up to `count` of its rows; raises ContractError if it cannot be read."""
    with _reading(path) as lines:
        header = list(next(lines, []))
        return header, [list(row) for row in itertools.islice(lines, count)]


def _time_ms(cell: str) -> int:
    if cell.lstrip("-").isdigit():
        return int(cell)
    at = datetime.fromisoformat(cell)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


_BOOLEANS: Final = {"true": True, "false": False, "1": True, "0": False}

_READERS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "integer": ("a whole number", int),
    "float": ("a number", float),
    "boolean": ("true or false", lambda cell: _BOOLEANS[cell.lower()]),
    "text": ("text", str),
    "enum": ("a symbol", str),
    "time": ("a time such as 2026-05-01T12:00:00Z, or milliseconds since 1970", _time_ms),
}


@contextmanager
def _reading(path: Path) -> Iterator[Iterator[Row]]:
    """The lines of a CSV file, plain or gzipped; its errors name the file."""
    try:
        with _opened(path) as text:
            yield csv.reader(text)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise ContractError(f"{path} cannot be read as CSV: {error}.") from error


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")
