"""Holds a control message's pydantic model to its Avro schema: names, order, types and defaults."""

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel

from freshet.avro.schemas import Schema

_PRIMITIVES: Final[dict[type, tuple[str, ...]]] = {
    str: ("string",),
    bool: ("boolean",),
    int: ("int", "long"),
    float: ("double",),
    bytes: ("bytes",),
}
_REQUIRED: Final = object()


def disagreements(model: type[BaseModel], schema: Schema, path: str = "") -> Iterator[str]:
    """Where the model and the schema differ, a sentence each with the field's path; none if they agree."""
    path = path or model.__name__
    if schema.get("name") != model.__name__:
        yield f"{path}: the schema is named {schema.get('name')!r}, the model {model.__name__!r}."
    fields = {field["name"]: field for field in schema["fields"]}
    if list(fields) != list(model.model_fields):
        yield f"{path}: the schema's fields are {', '.join(fields)}; the model's are {', '.join(model.model_fields)}."
        return
    for name, declared in model.model_fields.items():
        yield from _types(declared.annotation, fields[name]["type"], f"{path}.{name}")
        ours = _REQUIRED if declared.is_required() else _plain(declared.default)
        theirs = fields[name].get("default", _REQUIRED)
        if ours != theirs:
            yield f"{path}.{name}: the default is {_said(theirs)} in the schema and {_said(ours)} in the model."


def _types(annotation: Any, schema: Any, path: str) -> Iterator[str]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    kind = schema["type"] if isinstance(schema, dict) else "union" if isinstance(schema, list) else schema
    if origin is UnionType and NoneType in arguments and kind == "union" and schema[:1] == ["null"]:
        yield from _types(arguments[0], schema[1], path)
    elif origin is Literal:
        yield from _types(type(arguments[0]), schema, path)
    elif origin is tuple and kind == "array":
        yield from _types(arguments[0], schema["items"], f"{path}[]")
    elif origin is dict and kind == "map":
        yield from _types(arguments[1], schema["values"], f"{path}[]")
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel) and kind == "record":
        yield from disagreements(annotation, schema, path)
    elif not (isinstance(schema, str) and schema in _PRIMITIVES.get(annotation, ())):
        yield f"{path}: the schema says {schema!r:.80}, the model {annotation!r:.80}."


def _plain(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default


def _said(default: Any) -> str:
    return "missing" if default is _REQUIRED else repr(default)
