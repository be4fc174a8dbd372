"""Rows from Python as columns of a pipeline's event schema: dicts, columns, or a frame of pandas or Polars."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, Final

import numpy as np

from freshet.avro.event_fields import EventField, FieldKind, event_fields
from freshet.avro.field_names import named
from freshet.avro.nodes import NO_DEFAULT
from freshet.avro.own_schemas import Schema
from freshet.avro.parsing import parse
from freshet.avro.plan import Leaf, column_of, plan_of
from freshet.client.client_errors import RowError
from freshet.operate.tables.made_up import where_from
from freshet.operate.tables.titles import fields_by_title
from freshet.pipeline import PipelineSpec

Rows = Any
"""A sequence of dicts, a mapping of columns, or an object with `columns` and `[name]`, such as a DataFrame."""

_MISSING: Final = frozenset({"NAType", "NaTType"})
"""What pandas calls its own kinds of nothing."""
_INT64: Final = 1 << 63
_SHOWN: Final = 100
"""Characters of an unknown name that a message repeats."""


class _NothingError(Exception):
    """A row has no value where one is needed."""

    def __init__(self, row: int) -> None:
        self.row = row


def event_columns(
    rows: Rows, spec: PipelineSpec, schema: Schema, *, now_ms: int, new_id: Callable[[], str]
) -> dict[str, Any]:
    """The columns of these events, all of one length, in the schema's order.

    Fields may be named as the table that the pipeline was guessed from titles them (`table_title` in event.avsc). A
    field that no row has is filled in: the event id with `new_id()` for each row, the event time with `now_ms`, else
    the schema's default, or null. None and NaN are null where the field may be null. Times are datetimes, ISO 8601
    text (both UTC if they name no zone), numpy's datetime64, or whole numbers in the field's own unit. Raises RowError
    with the row and the field.
    """
    return shaped_events(rows, spec, RowShape(schema), now_ms=now_ms, new_id=new_id)


class RowShape:
    """The fields of a record, looked at once for any number of rows."""

    def __init__(self, schema: Schema) -> None:
        self.fields, self.leaves = event_fields(schema), plan_of(parse(schema))
        self.titles = fields_by_title(schema)
        self.names = frozenset({*self.fields, *self.titles})
        """What a value may be called; a nested field is `outer.inner`."""
        self.groups = frozenset(name[:end] for name in self.names for end, letter in enumerate(name) if letter == ".")
        """What a nested dict may be called."""
        self.defaults = {leaf.name: leaf.default for leaf in self.leaves if leaf.default is not NO_DEFAULT}


def shaped_events(
    rows: Rows, spec: PipelineSpec, shape: RowShape, *, now_ms: int, new_id: Callable[[], str]
) -> dict[str, Any]:
    """See `event_columns`."""
    fields = shape.fields
    filled: dict[str, Callable[[], Any]] = {spec.event_time: lambda: now_ms * fields[spec.event_time].ticks_per_ms}
    if fields[spec.event_id].kind == "text":
        filled[spec.event_id] = new_id
    return row_columns(rows, shape, filled, f"every event of {spec.pipeline}", time=spec.event_time, entity=spec.entity)


def row_columns(
    rows: Rows,
    shape: RowShape,
    filled: Mapping[str, Callable[[], Any]],
    whose: str,
    *,
    time: str = "",
    entity: str = "",
) -> dict[str, Any]:
    """The columns of any record, as `event_columns` tells. A field of `filled` that no row has is made for each row.

    `whose` begins the sentence that says what is missing; `time` is a field that is a time whatever its type says, and
    `entity` one whose value a sender may not know.
    """
    fields, leaves, defaults = shape.fields, shape.leaves, shape.defaults
    is_table = isinstance(rows, Mapping) or hasattr(rows, "columns")
    given = _by_field(named_columns(rows) if is_table else _transposed(rows, shape), shape)
    count = _length(given, rows)
    if count:
        _refuse_gaps(
            [leaf for leaf in leaves if leaf.name not in {*given, *defaults, *filled}], whose, _hint(entity, shape)
        )
    made: dict[str, Any] = {}
    for leaf in leaves:
        name, field = leaf.name, fields[leaf.name]
        if name in given:
            kind = "time" if name == time else field.kind
            try:
                values = [_value(field, kind, leaf, value, row) for row, value in enumerate(given[name])]
            except _NothingError as nothing:
                raise _no_value(given, shape, nothing.row, _hint(entity, shape)) from None
        elif name in filled:
            values = [filled[name]() for _ in range(count)]
        else:
            values = [defaults.get(name)] * count
        made[name] = _column(leaf, values)
    return made


def named_columns(table: Any) -> dict[str, list[Any]]:
    """The values of each column of a mapping or a DataFrame, by its name. RowError if they are not of one length."""
    if isinstance(table, Mapping):
        columns = {str(name): _listed(str(name), values) for name, values in table.items()}
    else:
        columns = {str(name): list(table[name]) for name in table.columns}
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise RowError(f"the columns are not of one length: {lengths}.")
    return columns


def _listed(name: str, values: Any) -> list[Any]:
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise RowError(f"column {name!r} is one {type(values).__name__}, not a column: give a single row as [row].")
    return list(values)


def is_nothing(value: Any) -> bool:
    """Whether a value stands for no value: None, NaN, or pandas' NA and NaT."""
    if value is None or type(value).__name__ in _MISSING:
        return True
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return isinstance(value, float | np.floating) and bool(value != value)  # noqa: PLR0124 - only NaN differs from itself


def _transposed(rows: Iterable[Any], shape: RowShape) -> dict[str, list[Any]]:
    flat = []
    for row, values in enumerate(rows):
        if not isinstance(values, Mapping):
            raise RowError(
                f"row {row} is a {type(values).__name__}: give dicts, a dict of columns, or a DataFrame.", row=row
            )
        flat.append(dict(_leaves(values, "", shape, row)))
    names = list(dict.fromkeys(name for values in flat for name in values))
    return {name: [values.get(name) for values in flat] for name in names}


def _leaves(values: Mapping[Any, Any], prefix: str, shape: RowShape, row: int) -> Iterable[tuple[str, Any]]:
    """The values of one row under their full names.

    The first unknown name ends it: unknown names, repeated for each nested value and each row, could fill the memory.
    """
    for inner, value in values.items():
        name = f"{prefix}{inner}"
        if isinstance(value, Mapping) and name in shape.groups:
            yield from _leaves(value, f"{name}.", shape, row)
        elif name not in shape.names:
            raise _no_field(name, shape, row)
        elif isinstance(value, Mapping):
            raise RowError(f"row {row}: field {name!r} holds an object, which is no value of it.", field=name, row=row)
        else:
            yield name, value


def _no_field(name: str, shape: RowShape, row: int | None = None) -> RowError:
    shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"
    near = get_close_matches(shown, [*shape.fields, *shape.titles], n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    known = ", ".join(shape.fields)
    return RowError(f"the event has no field {shown!r}: {hint}It has {known}.", field=shown, row=row)


def _by_field(given: Mapping[str, list[Any]], shape: RowShape) -> dict[str, list[Any]]:
    """The columns under their fields' names; each may come under that, or under its title in the pipeline's table."""
    found: dict[str, list[Any]] = {}
    for name, values in given.items():
        field = name if name in shape.fields else shape.titles.get(name)
        if field is None:
            raise _no_field(name, shape)
        if field in found:
            raise RowError(
                f"field {field!r} is there twice, under its name and as {name!r}: give one of them.", field=field
            )
        found[field] = values
    return found


def _hint(entity: str, shape: RowShape) -> dict[str, str]:
    """What to say of this field where it is missing."""
    return {entity: f" {where_from(entity, whole=shape.fields[entity].kind == 'integer')}"} if entity else {}


def _refuse_gaps(absent: Sequence[Leaf], whose: str, hints: Mapping[str, str]) -> None:
    """Absent fields must be nullable."""
    missing = [leaf.name for leaf in absent if leaf.null_branch is None]
    if missing:
        raise RowError(
            f"{named(missing)} {'is' if len(missing) == 1 else 'are'} missing: {whose} needs "
            f"{'it' if len(missing) == 1 else 'them'}.{''.join(hints.get(name, '') for name in missing)}",
            field=missing[0] if len(missing) == 1 else "",
        )


def _length(given: Mapping[str, Sequence[Any]], rows: Rows) -> int:
    return len(next(iter(given.values()))) if given else len(rows)


def _column(leaf: Leaf, values: list[Any]) -> Any:
    try:
        return column_of(leaf, values)
    except (ValueError, TypeError, KeyError, OverflowError, AttributeError) as error:
        raise RowError(f"field {leaf.name!r} cannot hold these values: {error}.", field=leaf.name) from error


def _value(field: EventField, kind: FieldKind, leaf: Leaf, value: Any, row: int) -> Any:
    if is_nothing(value) and leaf.null_branch is not None:
        return None
    if is_nothing(value) and kind != "float":
        raise _NothingError(row)
    what, read = _READERS.get(kind, ("", None))
    if read is None:
        return value
    try:
        return read(field, value)
    except (ValueError, TypeError, OverflowError):
        raise RowError(
            f"row {row}: field {field.name!r} holds {value!r:.100}, which is not {what}.", field=field.name, row=row
        ) from None


def _no_value(given: Mapping[str, Sequence[Any]], shape: RowShape, row: int, hints: Mapping[str, str]) -> RowError:
    """What the row lacks: all fields that need a value there and have none."""
    needed = (leaf.name for leaf in shape.leaves if leaf.null_branch is None and leaf.name in given)
    lacking = [name for name in needed if shape.fields[name].kind != "float" and is_nothing(given[name][row])]
    verb, only = ("has", lacking[0]) if len(lacking) == 1 else ("have", "")
    said = "".join(hints.get(name, "") for name in lacking)
    text = f"row {row}: {named(lacking, 'field')} {verb} no value, and may not be null.{said}"
    return RowError(text, field=only, row=row)


def _whole(_: EventField, value: Any) -> int:
    if isinstance(value, bool | np.bool_ | str | bytes) or int(value) != value or not -_INT64 <= int(value) < _INT64:
        raise ValueError
    return int(value)


def _number(_: EventField, value: Any) -> float:
    if isinstance(value, bool | np.bool_ | str | bytes):
        raise ValueError
    return float("nan") if value is None else float(value)


def _boolean(_: EventField, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise ValueError
    return bool(value)


def _text(_: EventField, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return str(value)


def _symbol(field: EventField, value: Any) -> str:
    if value not in field.symbols:
        raise ValueError
    return str(value)


def _ticks(field: EventField, value: Any) -> int:
    if isinstance(value, np.datetime64):
        return int(value.astype("datetime64[ns]").astype(np.int64)) * field.ticks_per_ms // 1_000_000
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
        micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        return micros * field.ticks_per_ms // 1000
    return _whole(field, value)


_READERS: Final[Mapping[str, tuple[str, Callable[[EventField, Any], Any]]]] = {
    "integer": ("a whole number", _whole),
    "float": ("a number", _number),
    "boolean": ("True or False", _boolean),
    "text": ("text", _text),
    "enum": ("one of its symbols", _symbol),
    "time": ("a time, such as 2026-05-01T12:00:00Z", _ticks),
}
