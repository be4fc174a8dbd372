"""YAML text → plain values with their lines, and pydantic's errors → sentences with a line."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, get_args

import yaml
from pydantic import BaseModel, ValidationError

from freshet.pipeline.catalogue import parts_like
from freshet.pipeline.problem import PipelineError, Problem, unknown

Path = tuple[str | int, ...]

_MAX_CHARACTERS: Final = 256 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """The line, from 1, on which each path of the file was written.

    Any two compare equal, so that specifications which differ only in comments and layout are equal.
    """

    by_path: Mapping[Path, int] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lines)

    def __hash__(self) -> int:
        return hash(Lines)

    def problem(self, path: Path, message: str) -> Problem:
        """The problem on the path's line, or on that of the nearest path around it."""
        line = next((self.by_path[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self.by_path), 0)
        where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
        return Problem(line, f"{where}: {message}" if where else message)


def read_yaml(text: str) -> tuple[dict[str, Any], Lines]:
    """The file as a dict of dicts, tuples and scalars, with their lines; raises PipelineError for anything else."""
    if len(text) > _MAX_CHARACTERS:
        raise PipelineError([Problem(0, f"the file holds more than {_MAX_CHARACTERS} characters.")])
    try:
        reader = _Reader(text)
        data = reader.root()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = f"this is not valid YAML: {error.problem}."
        raise PipelineError([Problem(mark.line + 1 if mark else 0, message)]) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: a date such as 2024-13-45
        raise PipelineError([Problem(0, f"this is not valid YAML: {error}.")]) from error
    if not isinstance(data, dict):
        reader.problems.append(Problem(0, "the file must hold keys with values, such as `pipeline: my-name`."))
    if reader.problems:
        raise PipelineError(reader.problems)
    return data, Lines(reader.lines)


class _Reader:
    """Builds values from YAML nodes, because values no longer know their lines."""

    def __init__(self, text: str) -> None:
        self._loader = yaml.SafeLoader(text)
        self._seen: set[int] = set()
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []

    def root(self) -> Any:
        node = self._loader.get_single_node()
        return None if node is None else self._value(node, ())

    def _value(self, node: yaml.Node, path: Path) -> Any:
        line = self.lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in self._seen:  # an alias; nested ones can stand for gigabytes
            self.problems.append(Problem(line, "anchors and aliases are not read; write the value out."))
            return None
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return dict(self._entries(node, path))
        if isinstance(node, yaml.SequenceNode):
            return tuple(self._value(item, (*path, index)) for index, item in enumerate(node.value))
        return self._loader.construct_object(node)

    def _entries(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[Hashable, Any]]:
        seen: set[Hashable] = set()
        for key_node, value_node in node.value:
            key = key_node.value
            line = key_node.start_mark.line + 1
            if not isinstance(key, str) or key in seen:
                self.problems.append(Problem(line, f"key {key!r} is written twice, or is no plain word."))
                continue
            seen.add(key)
            self.lines[(*path, key)] = line
            yield key, self._value(value_node, (*path, key))


def explain(error: ValidationError, model: type[BaseModel], data: Any, lines: Lines) -> Iterator[Problem]:
    """Pydantic's errors as sentences that say what to do, each on the line it is about."""
    for found in error.errors(include_url=False):
        place, kind = _place(found["loc"], model, data), found["type"]
        path, owner = place.path, place.owner
        if kind == "extra_forbidden" and owner is not None:
            known = [*(["kind"] if hasattr(owner, "kind") else []), *owner.model_fields]
            yield lines.problem(path, unknown("key", path[-1], known))
        elif kind == "missing" and owner is not None:
            field = owner.model_fields.get(str(path[-1]))
            yield lines.problem(path, f"is missing. {(field.description if field else '') or ''}".rstrip())
        elif kind == "union_tag_invalid":
            yield lines.problem((*path, "kind"), unknown("kind", found["input"].get("kind"), place.kinds))
        elif kind == "union_tag_not_found":
            yield lines.problem(path, f"needs a `kind`: one of {', '.join(place.kinds)}.")
        else:
            yield lines.problem(path, _sentence(found["msg"], kind, found["input"]))


_SHAPES: Final[Mapping[str, str]] = {
    "model_type": "should be keys with values",
    "tuple_type": "should be a list, as in [a, b]",
    "string_type": "should be text",
    "bool_type": "should be true or false",
    "int_type": "should be a whole number",
    "float_type": "should be a number",
    "finite_number": "should be a finite number",
}
"""What pydantic says in the words of Python."""


def _sentence(message: str, kind: str, value: Any) -> str:
    message = _SHAPES.get(kind, message.removeprefix("Value error, ").removeprefix("Input "))
    hint = ""
    if kind == "string_type" and not isinstance(value, dict | tuple):
        hint = " Put it in quotes: YAML reads words like yes, no and on, and digits, as something else than text."
    return f"{message}, not {value!r:.60}.{hint}" if message.startswith("should") else f"{message}.{hint}"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the file an error is, and what is read there."""

    path: Path
    owner: type[BaseModel] | None
    """The model that has the last step of the path as a field."""
    model: type[BaseModel] | None
    """The model of what is there, or of each entry of a list; the base class where a `kind` has yet to choose."""

    @property
    def kinds(self) -> list[str]:
        """The kinds that a part at this place may be of."""
        parts = parts_like(self.model) if self.model is not None else None
        return parts.kinds() if parts is not None else []


def _place(loc: tuple[str | int, ...], model: type[BaseModel], data: Any) -> _Place:
    """Pydantic's location as a place in the file.

    It has steps of pydantic's own, which lead nowhere in the file: the `kind` that it chose, which may be called as a
    key is, and the member of a union.
    """
    path: list[str | int] = []
    owner: type[BaseModel] | None = None
    at: type[BaseModel] | None = model
    for step in loc:
        parts = parts_like(at) if at is not None and isinstance(data, dict) else None
        if parts is not None and isinstance(step, str):
            at = parts.find(step)
        elif isinstance(data, tuple) and isinstance(step, int) and step < len(data):
            path.append(step)
            owner, data = None, data[step]
        elif isinstance(data, dict) and (at is not None or step in data):
            path.append(step)
            field = at.model_fields.get(str(step)) if at is not None else None
            owner, data = at, data.get(step)
            at = next(_models_in(field.annotation), None) if field is not None else None
    return _Place(tuple(path), owner, at)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
