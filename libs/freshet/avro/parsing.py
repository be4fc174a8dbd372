"""Builds the tree of types from an Avro schema, and finds what makes a schema unsafe to decode."""

import json
import re
from collections.abc import Mapping
from typing import Any

from freshet.avro.defaults import fitted
from freshet.avro.nodes import NO_DEFAULT, Field, Node, fastavro_schema
from freshet.contracts.errors import SchemaError

MAX_DEPTH = 32
MAX_PARTS = 16384
MAX_FIXED_BYTES = 64 * 1024

_SMALLEST = {
    "null": 0,
    "float": 4,
    "double": 8,
    **dict.fromkeys(("boolean", "int", "long", "string", "bytes", "array", "map", "union", "enum"), 1),
}
"""Bytes of the shortest value, where the kind alone decides it."""

_PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "string", "bytes"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FULL_NAME = re.compile(rf"{_NAME.pattern}(\.{_NAME.pattern})*")


def lint(schema: Any) -> list[str]:
    """Why this schema must not be used for messages: a sentence with a path for each problem, none if it is safe.

    `schema` is a JSON text or what it parses to. Refused are: recursion (a short message overflows the stack), array
    or map items of zero size (five bytes become gigabytes), `fixed` over 64 KiB, decimals as bytes, unknown types, and
    anything that is not a record of valid Avro; and a `private` mark that is neither true nor false.
    """
    _, problems, marks = _read(schema)
    return problems + marks


def parse(schema: Any) -> Node:
    """The schema as a tree; raises SchemaError with lint's sentences, but not for marks: they decode nothing."""
    node, problems, _ = _read(schema)
    if problems:
        raise SchemaError("this schema cannot be used for messages. " + " ".join(problems))
    return node


def _read(schema: Any) -> tuple[Node, list[str], list[str]]:
    reader = _Reader()
    node = _NULL
    try:
        tree = json.loads(schema) if isinstance(schema, str) and schema.lstrip()[:1] in ("{", "[") else schema
        node = reader.node(tree, "schema", "", 0)
        if not reader.problems and node.kind != "record":
            reader.problem("schema", f"a message must be a record, not {node.kind}")
        if not reader.problems:
            fastavro_schema(node)
    except (ValueError, RecursionError) as error:  # not JSON, or nested thousands deep
        reader.problem("schema", f"cannot be read: {error}")
    except Exception as error:  # fastavro's own exceptions share no base class
        reader.problem("schema", f"is not valid Avro: {error}")
    return node, reader.problems, reader.marks


_NULL = Node("null", 0)


class _Reader:
    """Builds the tree and collects problems. A part with a problem becomes null, so that all problems are found."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.marks: list[str] = []
        self._named: dict[str, Node | None] = {}  # None while the definition is open

    def problem(self, path: str, why: str) -> Node:
        self.problems.append(f"{path}: {why}.")
        return _NULL

    def node(self, schema: Any, path: str, namespace: str, depth: int) -> Node:
        if depth > MAX_DEPTH:
            return self.problem(path, f"is nested more than {MAX_DEPTH} deep")
        if isinstance(schema, list):
            return self._union(schema, path, namespace, depth)
        return self._typed(schema if isinstance(schema, Mapping) else {"type": schema}, path, namespace, depth)

    def _typed(self, schema: Mapping[str, Any], path: str, namespace: str, depth: int) -> Node:
        kind = schema.get("type")
        if not isinstance(kind, str):
            wrapped = isinstance(kind, list | Mapping)
            why = (
                "is wrapped in another `type`, which not all readers take: unwrap it"
                if wrapped
                else "is not an Avro type"
            )
            return self.problem(path, f"{kind!r:.80} {why}")
        if kind == "bytes" and schema.get("logicalType") == "decimal":
            return self.problem(path, "a decimal as bytes has no bounded value; use fixed, or a scaled long")
        if kind in ("array", "map"):
            return self._items(schema, path, namespace, depth)
        if kind in ("record", "enum", "fixed"):
            return self._definition(schema, path, namespace, depth)
        if kind in _PRIMITIVES:
            return Node(kind, _SMALLEST[kind], logical=_logical(schema))
        return self._reference(kind, path, namespace)

    def _reference(self, name: str, path: str, namespace: str) -> Node:
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        if full not in self._named:
            return self.problem(path, f"{name!r} is not a type of Avro, nor one defined before it is used")
        known = self._named[full]
        if known is None:
            return self.problem(path, f"{full} contains itself, so a short message could nest without end")
        return known

    def _union(self, schema: list[Any], path: str, namespace: str, depth: int) -> Node:
        branches = tuple(
            self.node(branch, f"{path}|{index}", namespace, depth + 1) for index, branch in enumerate(schema)
        )
        kinds = [branch.name or branch.kind for branch in branches]
        if not branches or "union" in kinds or len(set(kinds)) < len(kinds):
            return self.problem(path, "a union needs branches, all different and none itself a union")
        return Node("union", _SMALLEST["union"], 1 + sum(branch.parts for branch in branches), branches=branches)

    def _items(self, schema: Mapping[str, Any], path: str, namespace: str, depth: int) -> Node:
        kind = schema["type"]
        key = "items" if kind == "array" else "values"
        item = self.node(schema.get(key), f"{path}[]", namespace, depth + 1)
        if item.smallest == 0:
            self.problem(path, f"{kind} {key} can take no bytes, so five bytes could become gigabytes")
        return Node(kind, _SMALLEST[kind], 1 + item.parts, item=item)

    def _definition(self, schema: Mapping[str, Any], path: str, namespace: str, depth: int) -> Node:
        name = schema.get("name")
        if not isinstance(name, str) or not _FULL_NAME.fullmatch(name):
            return self.problem(path, f"{name!r} is not a name for a type")
        namespace = name.rpartition(".")[0] or schema.get("namespace") or namespace
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        if full in self._named or name in _PRIMITIVES:
            return self.problem(path, f"{full} is defined twice")
        self._named[full] = None
        if schema["type"] == "record":
            node = self._record(schema, full, path, namespace, depth)
        else:
            node = self._enum(schema, full, path) if schema["type"] == "enum" else self._fixed(schema, full, path)
        self._named[full] = node
        return node

    def _record(self, schema: Mapping[str, Any], full: str, path: str, namespace: str, depth: int) -> Node:
        fields: list[Field] = []
        names: set[str] = set()
        for declared in schema.get("fields", ()):
            name = declared.get("name") if isinstance(declared, Mapping) else None
            if not isinstance(name, str) or not _NAME.fullmatch(name) or name in names:
                return self.problem(path, f"{name!r} is not a field name, or is used twice")
            names.add(name)
            kind = self.node(declared.get("type"), f"{path}.{name}", namespace, depth + 1)
            if not isinstance(declared.get("private", False), bool):
                self.marks.append(f"{path}.{name}: `private` must be true or false, not {declared['private']!r:.80}.")
            default = declared.get("default", NO_DEFAULT)
            if default is not NO_DEFAULT and not self.problems:
                try:
                    default = fitted(kind, default)
                except ValueError as error:
                    self.problem(f"{path}.{name}", f"the default does not fit: {error}")
            fields.append(Field(name, kind, default, tuple(declared.get("aliases", ()))))
        parts = 1 + sum(field.type.parts for field in fields)
        if parts > MAX_PARTS:
            return self.problem(path, f"spelled out it is made of {parts} types, more than {MAX_PARTS}")
        smallest = sum(field.type.smallest for field in fields)
        return Node("record", smallest, parts, full, tuple(fields), attributes=_attributes(schema, "aliases"))

    def _enum(self, schema: Mapping[str, Any], full: str, path: str) -> Node:
        symbols = schema.get("symbols")
        if not isinstance(symbols, list) or not symbols or not all(isinstance(s, str) for s in symbols):
            return self.problem(path, "an enum needs symbols")
        attributes = _attributes(schema, "aliases", "default")
        return Node("enum", 1, name=full, symbols=tuple(symbols), attributes=attributes)

    def _fixed(self, schema: Mapping[str, Any], full: str, path: str) -> Node:
        size = schema.get("size")
        if type(size) is not int or not 0 < size <= MAX_FIXED_BYTES:
            return self.problem(path, f"a fixed of {size!r} bytes is outside 1 to {MAX_FIXED_BYTES}")
        attributes = _attributes(schema, "aliases")
        return Node("fixed", size, name=full, size=size, logical=_logical(schema), attributes=attributes)


def _logical(schema: Mapping[str, Any]) -> str:
    name = str(schema.get("logicalType") or "")
    return name if name != "decimal" else f"decimal({schema.get('precision')}, {schema.get('scale', 0)})"


def _attributes(schema: Mapping[str, Any], *keys: str) -> tuple[tuple[str, Any], ...]:
    return tuple((key, schema[key]) for key in keys if key in schema)
