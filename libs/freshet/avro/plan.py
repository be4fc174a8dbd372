"""Which columns a schema has, and columns from Python values."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from freshet.avro.columns import Column, Enum, Nullable, NumericColumn, Objects, Ragged, Strings
from freshet.avro.nodes import NO_DEFAULT, Node

DTYPES = {
    "boolean": np.dtype(np.bool_),
    "int": np.dtype("<i4"),
    "long": np.dtype("<i8"),
    "float": np.dtype("<f4"),
    "double": np.dtype("<f8"),
}
"""The dtype of a column of each kind of number."""

_COLUMNAR = {*DTYPES, "null", "string", "bytes", "fixed", "enum"}


@dataclass(frozen=True, slots=True)
class Leaf:
    """One column: its name (`outer.inner`), the way to it in a record, and its type.

    `null_branch` is the index of null in an optional's union, else None; `node` is then the other branch. `objects`
    says that the type has no columnar form. `default` is what a record that lacks it has; NO_DEFAULT if none may.
    """

    name: str
    path: tuple[str, ...]
    node: Node
    null_branch: int | None = None
    objects: bool = False
    default: Any = NO_DEFAULT


Plan = tuple[Leaf, ...]


def plan_of(record: Node) -> Plan:
    """The columns of a record, in the order of the schema."""
    return tuple(_leaves(record, (), NO_DEFAULT))


def is_columnar(node: Node) -> bool:
    """Whether a whole column of this type can be read at once."""
    if node.kind == "array":
        assert node.item is not None
        return node.item.kind in ("int", "long", "float", "double")
    return node.kind in _COLUMNAR


def null_branch_of(node: Node) -> int | None:
    """The index of null in the union of an optional column, None for any other type."""
    return node.null_at if node.null_at is not None and is_columnar(node.branches[1 - node.null_at]) else None


def _leaves(record: Node, outer: tuple[str, ...], outer_default: Any) -> Iterator[Leaf]:
    for field in record.fields:
        path, node = (*outer, field.name), field.type
        default = field.default if outer_default is NO_DEFAULT else outer_default[field.name]
        if node.kind == "record":
            yield from _leaves(node, path, default)
            continue
        null_branch = null_branch_of(node)
        if null_branch is not None:
            node = node.branches[1 - null_branch]
        yield Leaf(".".join(path), path, node, null_branch, objects=not is_columnar(node), default=default)


def column_of(leaf: Leaf, values: Sequence[Any]) -> Column:
    """A column from what fastavro reads, or from a schema's default.

    Floats are numbers, or their own bytes (the referee asks for these, so that every NaN keeps its bits).
    """
    if leaf.objects:
        return Objects(list(values))
    if leaf.null_branch is None:
        return _BUILDERS[leaf.node.kind](leaf.node, values)
    valid = np.array([value is not None for value in values], np.bool_)
    present = [value for value in values if value is not None]
    return with_nulls(_BUILDERS[leaf.node.kind](leaf.node, present), valid)


def columns_of(plan: Plan, records: Sequence[Mapping[str, Any]]) -> dict[str, Column]:
    """All columns of records, as dicts of what `column_of` takes."""
    columns = {}
    for leaf in plan:
        values: list[Any] = list(records)
        for name in leaf.path:
            values = [value[name] for value in values]
        columns[leaf.name] = column_of(leaf, values)
    return columns


def nulls(n: int) -> Nullable:
    """A column of the type null: n rows, none of which holds a value."""
    return Nullable(np.zeros(n, np.bool_), np.zeros(n, np.bool_))


def with_nulls(present: Column, valid: Any) -> Nullable:
    """The present values of an optional column spread over all rows: 5 and 7 in rows 1 and 2 of three are 0, 5, 7."""
    n, rows = valid.size, np.flatnonzero(valid)
    values: Column

    def spread(numbers: NumericColumn) -> NumericColumn:
        full = np.zeros(n, numbers.dtype)
        full[rows] = numbers
        return full

    if isinstance(present, Strings):
        values = Strings(present.data, spread(present.starts), spread(present.lengths))
    elif isinstance(present, Ragged):
        values = Ragged(present.flat, spread(present.lengths))
    elif isinstance(present, Enum):
        values = Enum(spread(present.codes), present.symbols)
    else:
        assert isinstance(present, np.ndarray)
        values = spread(present)
    return Nullable(values, valid)


def _numbers(node: Node, values: Sequence[Any]) -> NumericColumn:
    dtype = DTYPES[node.kind]
    if values and isinstance(values[0], bytes):
        return np.frombuffer(b"".join(values), dtype).copy()
    return np.array(values, dtype)


def _texts(node: Node, values: Sequence[Any]) -> Column:  # noqa: ARG001
    return Strings.from_list(values)


def _symbols(node: Node, values: Sequence[Any]) -> Column:
    codes = {symbol: code for code, symbol in enumerate(node.symbols)}
    return Enum(np.array([codes[value] for value in values], np.int32), node.symbols)


def _lists(node: Node, values: Sequence[Any]) -> Column:
    assert node.item is not None
    lengths = np.fromiter(map(len, values), np.int64, len(values))
    return Ragged(_numbers(node.item, [value for row in values for value in row]), lengths)


_BUILDERS: dict[str, Callable[[Node, Sequence[Any]], Column]] = {
    **dict.fromkeys(DTYPES, _numbers),
    **dict.fromkeys(("string", "bytes", "fixed"), _texts),
    "null": lambda node, values: nulls(len(values)),  # noqa: ARG005
    "enum": _symbols,
    "array": _lists,
}
