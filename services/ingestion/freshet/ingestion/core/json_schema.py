"""Holds parsed JSON strictly to an Avro schema: no guessing, no conversion, no extra keys."""

import math
import reprlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from fastavro.schema import expand_schema

from freshet.contracts.schemas import Schema

Accept = Callable[[Any], Any]
"""Takes a parsed JSON value, returns what fastavro writes for it; raises Misfit."""

_FLOAT_MAX: Final = 3.4028234663852886e38
_INTEGERS: Final = {"int": 1 << 31, "long": 1 << 63}
_LARGEST: Final = {"float": _FLOAT_MAX, "double": math.inf}
_ABSENT: Final = object()

# A value in a sentence: a few levels and characters of it, however deep or long it is.
_BRIEFLY: Final = reprlib.Repr()
_BRIEFLY.maxlevel = 3
_BRIEFLY.maxstring = _BRIEFLY.maxlong = _BRIEFLY.maxother = 60


class Misfit(Exception):  # noqa: N818 (a verdict on a row, not an error of ours)
    """A value that is not of its type; `path` grows outwards as it leaves nested values."""

    def __init__(self, why: str, reason: str = "input_malformed") -> None:
        super().__init__(why)
        self.why = why
        self.reason = reason
        self.path: list[str] = []

    @property
    def detail(self) -> str:
        """The sentence, with the field it is about."""
        where = ".".join(reversed(self.path))
        return f"{where}: {self.why}" if where else self.why


def json_reader(schema: Schema) -> Accept:
    """What reads one JSON value of this schema, with missing fields filled from their defaults.

    Timestamps are whole numbers, bytes are text with a character per byte, and a value of a union is written as it is.
    """
    return _accept(expand_schema(dict(schema)))


def _accept(schema: Any) -> Accept:
    if isinstance(schema, list):
        return _union(schema)
    if isinstance(schema, str):
        schema = {"type": schema}
    kind = schema["type"]
    if not isinstance(kind, str):
        return _accept(kind)
    return _BUILDERS[kind](schema)


def _must(what: str, value: Any) -> Misfit:
    return Misfit(f"must be {what}, not {_BRIEFLY.repr(value)}.")


def _null(schema: Mapping[str, Any]) -> Accept:  # noqa: ARG001
    def accept(value: Any) -> None:
        if value is not None:
            raise _must("null", value)

    return accept


def _boolean(schema: Mapping[str, Any]) -> Accept:  # noqa: ARG001
    def accept(value: Any) -> bool:
        if value is True or value is False:
            return bool(value)
        raise _must("true or false", value)

    return accept


def _integer(schema: Mapping[str, Any]) -> Accept:
    limit = _INTEGERS[schema["type"]]

    def accept(value: Any) -> int:
        if type(value) is int and -limit <= value < limit:
            return value
        raise _must(f"a whole number of {limit.bit_length()} bits", value)

    return accept


def _number(schema: Mapping[str, Any]) -> Accept:
    largest = _LARGEST[schema["type"]]

    def accept(value: Any) -> float:
        if type(value) is float or type(value) is int:
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            if math.isfinite(number) and abs(number) <= largest:
                return number
        raise _must(f"a number within the range of {schema['type']}", value)

    return accept


def _text(schema: Mapping[str, Any]) -> Accept:
    encoding = "utf-8" if schema["type"] == "string" else "latin-1"
    size = schema.get("size")

    def accept(value: Any) -> str | bytes:
        if type(value) is not str:
            raise _must("text", value)
        try:
            encoded = value.encode(encoding)
        except UnicodeEncodeError as error:
            raise _must(f"text that {encoding} can hold", value) from error
        if size is not None and len(encoded) != size:
            raise _must(f"{size} bytes", value)
        return value if encoding == "utf-8" else encoded

    return accept


def _enum(schema: Mapping[str, Any]) -> Accept:
    symbols = frozenset(schema["symbols"])

    def accept(value: Any) -> str:
        if type(value) is str and value in symbols:
            return value
        raise _must(f"one of {', '.join(schema['symbols'])}", value)

    return accept


def _record(schema: Mapping[str, Any]) -> Accept:
    fields = [(field["name"], _accept(field["type"]), field.get("default", _ABSENT)) for field in schema["fields"]]
    names = frozenset(name for name, _, _ in fields)

    def accept(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise _must("an object", value)
        result = {}
        for name, accept_field, default in fields:
            given = value.get(name, _ABSENT)
            if given is _ABSENT:
                if default is _ABSENT:
                    raise Misfit(f"key {name!r} is missing.")
                given = default
            result[name] = _within(name, accept_field, given)
        if len(value) > len(fields) or not names.issuperset(value):
            strange = next(key for key in value if key not in names)
            raise Misfit(f"key {strange!r:.60} is not a field of {schema['name']}.")
        return result

    return accept


def _array(schema: Mapping[str, Any]) -> Accept:
    accept_item = _accept(schema["items"])

    def accept(value: Any) -> list[Any]:
        if type(value) is not list:
            raise _must("an array", value)
        return [_within(str(index), accept_item, item) for index, item in enumerate(value)]

    return accept


def _map(schema: Mapping[str, Any]) -> Accept:
    accept_item = _accept(schema["values"])
    accept_key = _text({"type": "string"})

    def accept(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise _must("an object", value)
        return {accept_key(key): _within(key[:60], accept_item, item) for key, item in value.items()}

    return accept


def _union(branches: list[Any]) -> Accept:
    readers = [(_branch_name(branch), _accept(branch)) for branch in branches]

    def accept(value: Any) -> Any:
        misfits = []
        for name, accept_branch in readers:
            try:
                fitting = accept_branch(value)
            except Misfit as misfit:
                misfits.append(misfit.detail)
            else:
                return None if name == "null" else (name, fitting)
        raise Misfit(f"fits no branch: {' '.join(misfits)}")

    return accept


def _branch_name(branch: Any) -> str:
    if isinstance(branch, str):
        return branch
    return str(branch.get("name", branch["type"]))


def _within(name: str, accept: Accept, value: Any) -> Any:
    try:
        return accept(value)
    except Misfit as misfit:
        misfit.path.append(name)
        raise


_BUILDERS: Final[dict[str, Callable[[Mapping[str, Any]], Accept]]] = {
    "null": _null,
    "boolean": _boolean,
    "enum": _enum,
    "record": _record,
    "array": _array,
    "map": _map,
    **dict.fromkeys(("int", "long"), _integer),
    **dict.fromkeys(("float", "double"), _number),
    **dict.fromkeys(("string", "bytes", "fixed"), _text),
}
