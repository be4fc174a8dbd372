"""Avro types as a tree in which every name is resolved."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from fastavro.schema import parse_schema

NO_DEFAULT: Final = object()


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record; `default` is NO_DEFAULT or the value that fastavro would read."""

    name: str
    type: "Node"
    default: Any = NO_DEFAULT
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """One type. `smallest` is the length in bytes of its shortest encoding. `parts` is how many types it is made of,
    itself included; a named type counts each time that it is used.

    Every value is its underlying integer, bytes or text: `logical`, the name of its logical type, only says what it
    means, and a decimal's says its digits too, as in `decimal(9, 2)`. `attributes` are a named type's aliases and an
    enum's default, which only schema resolution needs.
    """

    kind: str
    smallest: int
    parts: int = 1
    name: str = ""
    fields: tuple[Field, ...] = ()
    branches: tuple["Node", ...] = ()
    item: "Node | None" = None
    symbols: tuple[str, ...] = ()
    size: int = 0
    logical: str = ""
    attributes: tuple[tuple[str, Any], ...] = ()

    @property
    def null_at(self) -> int | None:
        """The index of null in a union of null and one other type; None for any other type."""
        kinds = [branch.kind for branch in self.branches]
        return kinds.index("null") if len(kinds) == 2 and "null" in kinds else None


def meanings(node: Node, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Path, kind and logical type ("" for none) of everything that holds values; a union's branches share its path."""
    for branch in node.branches:
        yield from meanings(branch, path)
    for field in node.fields:
        yield from meanings(field.type, f"{path}.{field.name}".removeprefix("."))
    if node.item is not None:
        yield from meanings(node.item, f"{path}[]")
    if node.kind not in ("union", "record", "array", "map"):
        yield path, node.kind, node.logical


def fastavro_schema(node: Node) -> Any:
    """The tree as fastavro wants it; raises fastavro's exceptions for what is no valid Avro.

    fastavro's own check of defaults is off: ours were checked when the tree was built, and it would refuse the default
    of a field of bytes, which the tree holds as bytes.
    """
    return parse_schema(wire_schema(node), _ignore_default_error=True)


def wire_schema(node: Node, seen: set[str] | None = None) -> Any:
    """The tree as an Avro schema without logical types, each named type defined where it comes first."""
    seen = set() if seen is None else seen
    if node.kind == "union":
        return [wire_schema(branch, seen) for branch in node.branches]
    if node.item is not None:
        return {"type": node.kind, "items" if node.kind == "array" else "values": wire_schema(node.item, seen)}
    if not node.name or node.name in seen:
        return node.name or node.kind
    seen.add(node.name)
    own: dict[str, Any] = {"type": node.kind, "name": node.name, **dict(node.attributes)}
    if node.kind == "record":
        own["fields"] = [_wire_field(field, seen) for field in node.fields]
    elif node.kind == "enum":
        own["symbols"] = list(node.symbols)
    else:
        own["size"] = node.size
    return own


def _wire_field(field: Field, seen: set[str]) -> dict[str, Any]:
    written: dict[str, Any] = {"name": field.name, "type": wire_schema(field.type, seen)}
    if field.default is not NO_DEFAULT:
        written["default"] = field.default
    return written | ({"aliases": list(field.aliases)} if field.aliases else {})
