"""Turns the default of a field, which a schema writes as JSON, into the value that a reader sees."""

from collections.abc import Callable, Mapping
from typing import Any

from freshet.avro.nodes import NO_DEFAULT, Node


def fitted(node: Node, default: Any) -> Any:
    """The value that a default stands for; raises ValueError if it is not of the type.

    Bytes are written as text, a character for each; a record's missing fields take their own defaults; a union's
    default may be of any branch (Avro 1.12).
    """
    return _FITS[node.kind](node, default)


def _exactly(kind: type) -> Callable[[Node, Any], Any]:
    def fits(node: Node, default: Any) -> Any:
        if type(default) is not kind:
            raise ValueError(f"{default!r:.80} is not a {node.kind}")
        return default

    return fits


def _integer(node: Node, default: Any) -> int:
    bits = 31 if node.kind == "int" else 63
    if type(default) is not int or not -(1 << bits) <= default < 1 << bits:
        raise ValueError(f"{default!r:.80} is not of the {bits + 1} bits of {node.kind}")
    return default


def _number(node: Node, default: Any) -> float:
    if type(default) not in (int, float):
        raise ValueError(f"{default!r:.80} is not a {node.kind}")
    return float(default)


def _text(node: Node, default: Any) -> str | bytes:
    if not isinstance(default, str):
        raise ValueError(f"{default!r:.80} is not text")
    if node.kind == "string":
        default.encode()  # a lone surrogate is a ValueError of its own
        return default
    value = default.encode("latin-1")
    if node.kind == "fixed" and len(value) != node.size:
        raise ValueError(f"{default!r:.80} is not {node.size} bytes")
    return value


def _symbol(node: Node, default: Any) -> Any:
    if default not in node.symbols:
        raise ValueError(f"{default!r:.80} is not a symbol of {node.name}")
    return default


def _list(node: Node, default: Any) -> list[Any]:
    assert node.item is not None
    if not isinstance(default, list):
        raise ValueError(f"{default!r:.80} is not a list")
    return [fitted(node.item, value) for value in default]


def _map(node: Node, default: Any) -> dict[str, Any]:
    assert node.item is not None
    if not isinstance(default, Mapping):
        raise ValueError(f"{default!r:.80} is not a map")
    return {key: fitted(node.item, value) for key, value in default.items()}


def _union(node: Node, default: Any) -> Any:
    for branch in node.branches:
        try:
            return fitted(branch, default)
        except ValueError:
            continue
    raise ValueError(f"{default!r:.80} is of none of the union's branches")


def _record(node: Node, default: Any) -> dict[str, Any]:
    if not isinstance(default, Mapping):
        raise ValueError(f"{default!r:.80} is not a record")
    values = {}
    for field in node.fields:
        if field.name in default:
            values[field.name] = fitted(field.type, default[field.name])
        elif field.default is not NO_DEFAULT:
            values[field.name] = field.default
        else:
            raise ValueError(f"it lacks the field {field.name}")
    return values


_FITS: dict[str, Callable[[Node, Any], Any]] = {
    "null": _exactly(type(None)),
    "boolean": _exactly(bool),
    "enum": _symbol,
    "array": _list,
    "map": _map,
    "union": _union,
    "record": _record,
    **dict.fromkeys(("int", "long"), _integer),
    **dict.fromkeys(("float", "double"), _number),
    **dict.fromkeys(("string", "bytes", "fixed"), _text),
}
