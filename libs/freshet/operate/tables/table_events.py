"""Rows of a table as events of a pipeline: columns become event fields by name, and what is missing is filled in."""

import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from freshet.avro import Column
from freshet.avro.event_fields import EventField, event_fields
from freshet.avro.nodes import NO_DEFAULT
from freshet.avro.own_schemas import Schema
from freshet.avro.parsing import parse
from freshet.avro.plan import Leaf, column_of, plan_of
from freshet.contracts.errors import ContractError
from freshet.operate.operate_error import OperateError
from freshet.operate.tables.cells import (
    EXACT_IN_FLOAT32,
    TABLE_FORMAT,
    TimeFormat,
    TimeGuess,
    boolean,
    is_missing,
    number,
    whole,
)
from freshet.operate.tables.events import BATCH_ROWS, Events
from freshet.operate.tables.made_up import ENTITIES, made_up_entities, made_up_entity
from freshet.operate.tables.survey import NAMED, Survey
from freshet.operate.tables.table import Dialect, Line, Table
from freshet.operate.tables.titles import field_names, fields_by_title, no_column
from freshet.pipeline import PipelineSpec


class _BadCellError(Exception):
    """Why a row gives no event, or an event no label."""


class CsvEvents:
    """The events of one file, as often as it is iterated: the same rows give the same events, ids included.

    Columns are found by their title (event.avsc may say it), or by the field name that `pipeline new` makes of it.
    Without a column of that name, the event id is made from pipeline, file name and row; the entity is one of
    `entities` in turn; the event time is left to whoever sends. Nullable fields and those with a default may be absent.
    A label that is blank or unknown is "" in the events. `survey` says what every row is good for.
    """

    def __init__(
        self,
        path: Path,
        spec: PipelineSpec,
        schema: Schema,
        *,
        label: str | None = None,
        entities: int = ENTITIES,
        dialect: Dialect | None = None,
    ) -> None:
        """Reads all of the file. Raises OperateError if a column is missing, ContractError if no row gives an event."""
        self._path = path
        self._spec = spec
        self._entities = entities
        self.table = Table(path, dialect, Dialect.of(schema))
        said = fields_by_title(schema)
        made = zip(self.table.titles, field_names(self.table.titles), strict=True)
        names = [said.get(title, name) for title, name in made]
        self._at = {name: index for index, name in enumerate(names)}
        self._at |= {title: index for index, title in enumerate(self.table.titles)}
        self._at |= {said[title]: index for index, title in enumerate(self.table.titles) if title in said}
        self._titled = list(zip(self.table.titles, names, strict=True))
        self._label_at = None if label is None else self._at.get(label, -1)
        self._fields = event_fields(schema)
        self.table.numbers = self._titles_of_numbers()
        self._leaves = [
            leaf for leaf in plan_of(parse(schema)) if leaf.name != spec.event_time or leaf.name in self._at
        ]
        self._defaults = {leaf.name: leaf.default for leaf in self._leaves if leaf.default is not NO_DEFAULT}
        self._said = {
            declared["name"]: declared[TABLE_FORMAT] for declared in schema["fields"] if TABLE_FORMAT in declared
        }
        self._check(label)
        self._read = [(leaf.name, self._at[leaf.name]) for leaf in self._leaves if leaf.name in self._at]
        self._times = self._time_formats()
        self.survey = self._surveyed()

    @property
    def unused(self) -> list[str]:
        """Columns of the file that no event field is named after."""
        return [
            title
            for index, (title, name) in enumerate(self._titled)
            if title not in self._fields and name not in self._fields and index != self._label_at
        ]

    @property
    def made_up(self) -> list[str]:
        """A sentence about the entities, if the file has none: an event that somebody else sends needs one, too."""
        name = self._spec.entity
        if name in self._at:
            return []
        which = made_up_entities(name, self._entities, whole=self._fields[name].kind == "integer")
        return [
            f"no column is the entity, field {name}: events get {which} in turn; `freshet predict` takes any of them."
        ]

    @property
    def absent(self) -> list[str]:
        """Sentences about fields of features that have no column here, with the unused column that looks like each."""
        said = []
        for leaf in self._leaves:
            name, what = leaf.name, self._defaults.get(leaf.name)
            if name in self._at or name in (self._spec.event_id, self._spec.entity) or name not in self._feature_inputs:
                continue
            near = get_close_matches(name.lower(), map(str.lower, self.unused), n=1)
            like = next((title for title in self.unused if near and title.lower() == near[0]), "")
            hint = f" Is it {like!r}, which no field is named after?" if like else ""
            worth = "null" if what is None else repr(what)
            said.append(
                f"field {name} has no column here: it will be {worth} in all {self.survey.rows:,} events.{hint}"
            )
        return said

    @property
    def _feature_inputs(self) -> set[str]:
        """Fields that features are made of."""
        return {name for column in self._spec.features.columns for name in column.inputs()}

    def __iter__(self) -> Iterator[Events]:
        """Up to a thousand events at a time."""
        good = ((row, values, label) for row, _, values, label, why in self._rows() if values is not None)
        while some := list(itertools.islice(good, BATCH_ROWS)):
            yield self._events(some)

    def _check(self, label: str | None) -> None:
        unused = f" Columns that no event field is named after: {', '.join(self.unused)}." if self.unused else ""
        if self._label_at == -1:
            raise no_column(str(self._path), str(label), self.table.titles)
        missing = [leaf.name for leaf in self._leaves if not self._can_fill(leaf)]
        if missing:
            raise OperateError(
                f"{self._path} has no column {', '.join(missing)}, which pipeline {self._spec.pipeline!r} needs."
                f"{unused} Rename columns {self.table.where_titles_stand}.",
                "usage",
            )

    def _can_fill(self, leaf: Leaf) -> bool:
        if leaf.name in self._at:
            return self._fields[leaf.name].kind != "other"
        return (
            leaf.null_branch is not None
            or leaf.name in self._defaults
            or leaf.name in (self._spec.event_id, self._spec.entity)
        )

    def _titles_of_numbers(self) -> set[str]:
        """Columns whose fields are numbers, and the label's if it is one: in others, 1.234 is a text."""
        kinds = {name: field.kind for name, field in self._fields.items()}
        found = {title for title, name in self._titled if kinds.get(title, kinds.get(name)) in ("integer", "float")}
        if self._label_at is not None and all(text.isdigit() for text in self._spec.target.classes):
            found.add(self.table.titles[self._label_at])
        return found

    def _time_formats(self) -> dict[str, TimeFormat]:
        """How each column of times writes them: as event.avsc says, else by all of its cells."""
        said = {name: TimeFormat.named(form) for name, form in self._said.items()}
        guesses = {name: TimeGuess() for name, _ in self._read if self._is_time(name) and name not in said}
        columns = [(name, at) for name, at in self._read if name in said or name in guesses]
        for line in self.table if columns else ():
            for name, at in columns:
                cell = line.cells[at] if at < len(line.cells) else ""
                if is_missing(cell, "time"):
                    continue
                if name in guesses:
                    guesses[name].see(cell)
                elif other := said[name].contradicted_by(cell):
                    raise ContractError(
                        f"{self._path}:{line.number}: column {name!r} holds {cell!r}, written in {other}, but the "
                        f"pipeline's tables write {said[name].name} ({TABLE_FORMAT} of the field in event.avsc). "
                        "Nothing was read: write this file's times so, or say there how they are written."
                    )
        try:
            return said | {name: guess.found() for name, guess in guesses.items()}
        except ValueError as error:
            raise ContractError(f"{self._path}: {error}.") from error

    def _is_time(self, name: str) -> bool:
        return self._fields[name].kind == "time" or name == self._spec.event_time

    def _surveyed(self) -> Survey:
        found = Survey()
        for _, line, values, label, why in self._rows():
            if why and len(found.named) < NAMED:
                found.named.append(f"{self._path}:{line}: {why}.")
            if values is None:
                found.left_out += 1
                continue
            found.rows += 1
            found.unlabelled += self._label_at is not None and not label
            for name, value in values.items():
                if self._fields[name].kind == "integer" and value is not None and abs(value) > EXACT_IN_FLOAT32:
                    found.rounded[name] = found.rounded.get(name, 0) + 1
        read = self._feature_inputs
        found.rounded = {name: n for name, n in found.rounded.items() if name in read and not self._is_time(name)}
        if found.left_out and not found.rows:
            raise ContractError("\n".join([*found.named, "no row of the table can be read as an event."]))
        return found

    def _rows(self) -> Iterator[tuple[int, int, dict[str, Any] | None, str, str]]:
        """Each row's place, its line, its values (None if it gives no event), its label, and what is wrong."""
        for row, line in enumerate(self.table):
            try:
                values = self._values(line)
            except _BadCellError as bad:
                yield row, line.number, None, "", str(bad)
                continue
            try:
                label, why = self._label(line), ""
            except _BadCellError as bad:
                label, why = "", str(bad)
            yield row, line.number, values, label, why

    def _values(self, line: Line) -> dict[str, Any]:
        if len(line.cells) != len(self.table.titles):
            raise _BadCellError(f"there are {len(line.cells)} cells, but {len(self.table.titles)} columns")
        return {name: self._value(self._fields[name], line.cells[at], line.written[at]) for name, at in self._read}

    def _value(self, field: EventField, cell: str, written: str) -> Any:
        role = field.name in (self._spec.event_id, self._spec.entity, self._spec.event_time)
        if is_missing(cell, field.kind):
            if field.nullable:
                return None
            if field.name in self._defaults:
                return self._defaults[field.name]
            if field.kind != "text" or role:
                way_out = "every event needs one" if role else "let the field be null in event.avsc if that may happen"
                raise _BadCellError(f"column {field.name!r} holds {written!r}, which is no value; {way_out}")
        if field.kind == "enum" and cell not in field.symbols:
            raise _BadCellError(f"column {field.name!r} holds {written!r}, none of {', '.join(field.symbols)}")
        form = self._times.get(field.name)
        what, read = _TIME if form else _READERS[field.kind]
        try:
            return form.ms(cell) * field.ticks_per_ms if form else read(cell)
        except (ValueError, KeyError, OverflowError):
            raise _BadCellError(f"column {field.name!r} holds {written!r}, which is not {what}") from None

    def _label(self, line: Line) -> str:
        """The label; "" for none."""
        if self._label_at is None:
            return ""
        cell, known = line.cells[self._label_at], self._spec.target.classes
        if cell in known or not cell:
            return cell
        if is_missing(cell, "float"):
            return ""
        if known:
            raise _BadCellError(f"label {cell!r} is none of the pipeline's classes {', '.join(known)}")
        try:
            number(cell)
        except ValueError:
            raise _BadCellError(
                f"label {cell!r} is not a number, as pipeline {self._spec.pipeline!r} predicts one"
            ) from None
        return cell

    def _events(self, rows: Sequence[tuple[int, dict[str, Any], str]]) -> Events:
        columns = {leaf.name: self._column(leaf, rows) for leaf in self._leaves}
        return Events(columns, None if self._label_at is None else [label for _, _, label in rows])

    def _column(self, leaf: Leaf, rows: Sequence[tuple[int, dict[str, Any], str]]) -> Column:
        name, field = leaf.name, self._fields[leaf.name]
        if name in self._at:
            return column_of(leaf, [values[name] for _, values, _ in rows])
        if name == self._spec.event_id:
            return column_of(leaf, [self._event_id(field, row) for row, _, _ in rows])
        if name == self._spec.entity:
            entities = (row % self._entities for row, _, _ in rows)
            whole = field.kind == "integer"
            return column_of(leaf, [made_up_entity(name, at, whole=whole) for at in entities])
        return column_of(leaf, [self._defaults.get(name)] * len(rows))

    def _event_id(self, field: EventField, row: int) -> Any:
        if field.kind == "integer":
            return row
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"freshet/{self._spec.pipeline}/{self._path.name}/{row}"))


_TIME: Final[tuple[str, Callable[[str], Any]]] = (
    "a time as the other rows write it, such as 2026-05-01T12:00:00Z",
    str,
)
_READERS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "integer": ("a whole number", whole),
    "float": ("a number", number),
    "boolean": ("true or false", boolean),
    "text": ("text", str),
    "enum": ("a symbol", str),
}
