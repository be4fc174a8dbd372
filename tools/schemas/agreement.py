"""Holds a control message's pydantic model to its Avro schema: names, order, types and defaults."""

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel

from freshet.avro.nodes import NO_DEFAULT, Node

_PRIMITIVES: Final[dict[type, tuple[str, ...]]] = {
    str: ("string",),
    bool: ("boolean",),
    int: ("int", "long"),
    float: ("double",),
    bytes: ("bytes",),
}


def disagreements(model: type[BaseModel], schema: Node, path: str = "") -> Iterator[str]:
    """Where the model and the schema differ, a sentence each with the field's path; none if they agree."""
    path = path or model.__name__
    name = schema.name.rpartition(".")[2]
    if name != model.__name__:
        yield f"{path}: the schema is named {name!r}, the model {model.__name__!r}."
    fields = {field.name: field for field in schema.fields}
    if list(fields) != list(model.model_fields):
        yield f"{path}: the schema's fields are {', '.join(fields)}; the model's are {', '.join(model.model_fields)}."
        return
    for name, declared in model.model_fields.items():
        yield from _types(declared.annotation, fields[name].type, f"{path}.{name}")
        ours = NO_DEFAULT if declared.is_required() else _plain(declared.default)
        theirs = fields[name].default
        if ours != theirs:
            yield f"{path}.{name}: the default is {_said(theirs)} in the schema and {_said(ours)} in the model."


def _types(annotation: Any, node: Node, path: str) -> Iterator[str]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is UnionType and NoneType in arguments and node.null_at == 0:
        yield from _types(arguments[0], node.branches[1], path)
    elif origin is Literal:
        yield from _types(type(arguments[0]), node, path)
    elif origin is tuple and node.kind == "array" and node.item:
        yield from _types(arguments[0], node.item, f"{path}[]")
    elif origin is dict and node.kind == "map" and node.item:
        yield from _types(arguments[1], node.item, f"{path}[]")
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel) and node.kind == "record":
        yield from disagreements(annotation, node, path)
    elif node.kind not in _PRIMITIVES.get(annotation, ()) or node.logical:
        said = node.logical or node.kind
        yield f"{path}: the schema says {said!r}, the model {annotation!r:.80}."


def _plain(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default


def _said(default: Any) -> str:
    return "missing" if default is NO_DEFAULT else repr(default)
