"""Reads parsed JSON as values of an Avro type. Nothing is guessed: a value has one meaning, or it is refused."""

import math
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from struct import Struct
from typing import Any, Final

from freshet.avro.field_names import named
from freshet.avro.nodes import NO_DEFAULT, Node
from freshet.avro.reasons import DecodeReason, Refused

Accept = Callable[[Any], Any]
"""Takes a parsed JSON value, returns the one that Avro has for it, as its decoder would; raises Refused."""

FLOAT_MAX: Final = 3.4028234663852886e38
"""The largest number that a float of 32 bits holds."""

_FLOAT: Final = Struct("<f")
_INTEGERS: Final = {"int": 1 << 31, "long": 1 << 63}
_LARGEST: Final = {"float": FLOAT_MAX, "double": math.inf}
_ABSENT: Final = object()
_EXACT_MAX: Final = 1 << 53
"""Floats from here on skip whole numbers: which one a producer meant is no longer known."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TICKS: Final = {"timestamp-millis": timedelta(milliseconds=1), "timestamp-micros": timedelta(microseconds=1)}

# A value in a sentence: a few levels and characters of it, however deep or long it is.
_BRIEFLY: Final = reprlib.Repr()
_BRIEFLY.maxlevel = 3
_BRIEFLY.maxstring = _BRIEFLY.maxlong = _BRIEFLY.maxother = 60


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What is accepted beyond the plain JSON form of Avro's types."""

    unknown_fields: bool = False
    """Keys that are no field are ignored."""
    other_forms: bool = True
    """A whole number written as a float, and a time or date written as ISO 8601."""


_EXACT: Final = Tolerance(other_forms=False)


def json_reader(schema: Node, *, ignore_unknown: bool = False) -> Accept:
    """What reads one JSON value of this type, with missing fields filled from their defaults.

    Timestamps are whole numbers or ISO 8601 with an offset, whole numbers may be written `3.0`, bytes are text with a
    character per byte. A value of a union is written as it is; a branch that takes it unchanged goes before others.
    """
    return _accept(schema, Tolerance(ignore_unknown))


def _accept(node: Node, tolerance: Tolerance) -> Accept:
    return _BUILDERS[node.kind](node, tolerance)


def _invalid(why: str) -> Refused:
    return Refused(DecodeReason.MALFORMED, why)


def _must(what: str, value: Any) -> Refused:
    return _invalid(f"must be {what}, not {_BRIEFLY.repr(value)}.")


def _null(node: Node, tolerance: Tolerance) -> Accept:  # noqa: ARG001
    def accept(value: Any) -> None:
        if value is not None:
            raise _must("null", value)

    return accept


def _boolean(node: Node, tolerance: Tolerance) -> Accept:  # noqa: ARG001
    def accept(value: Any) -> bool:
        if value is True or value is False:
            return bool(value)
        raise _must("true or false", value)

    return accept


def _integer(node: Node, tolerance: Tolerance) -> Accept:
    limit = _INTEGERS[node.kind]
    from_text = iso_reader(node) if tolerance.other_forms else None

    def accept(value: Any) -> int:
        given = value
        if type(value) is str and from_text is not None:
            value = from_text(value)
        elif type(value) is float and tolerance.other_forms and value.is_integer() and abs(value) < _EXACT_MAX:
            value = int(value)
        if type(value) is int and -limit <= value < limit:
            return value
        raise _must(f"a whole number of {limit.bit_length()} bits", given)

    return accept


def iso_reader(node: Node) -> Callable[[str], int] | None:
    """Reads ISO 8601 as the number that this type has for it, or raises Refused; None for all other types."""
    if node.logical == "date":
        return _date
    return _moment(_TICKS[node.logical]) if node.logical in _TICKS else None


def _moment(tick: timedelta) -> Callable[[str], int]:
    """Reads ISO 8601 as ticks since 1970, rounded down. Without an offset nobody knows which moment is meant."""

    def read(text: str) -> int:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise _must("a time such as 2026-05-01T12:00:00Z, or a whole number since 1970", text) from None
        if at.tzinfo is None:
            raise _must("a time with its offset from UTC, such as a Z at its end", text)
        return (at - _EPOCH) // tick

    return read


def _date(text: str) -> int:
    try:
        return date.fromisoformat(text).toordinal() - _EPOCH.toordinal()
    except ValueError:
        raise _must("a date such as 2026-05-01, or days since 1970", text) from None


def _number(node: Node, tolerance: Tolerance) -> Accept:  # noqa: ARG001
    largest = _LARGEST[node.kind]

    def accept(value: Any) -> float:
        if type(value) is float or type(value) is int:
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            if math.isfinite(number) and abs(number) <= largest:
                return number if node.kind == "double" else _FLOAT.unpack(_FLOAT.pack(number))[0]
        raise _must(f"a number within the range of {node.kind}", value)

    return accept


def _text(node: Node, tolerance: Tolerance) -> Accept:  # noqa: ARG001
    encoding = "utf-8" if node.kind == "string" else "latin-1"

    def accept(value: Any) -> str | bytes:
        if type(value) is not str:
            raise _must("text", value)
        try:
            encoded = value.encode(encoding)
        except UnicodeEncodeError as error:
            raise _must(f"text that {encoding} can hold", value) from error
        if node.kind == "fixed" and len(encoded) != node.size:
            raise _must(f"{node.size} bytes", value)
        return value if encoding == "utf-8" else encoded

    return accept


def _enum(node: Node, tolerance: Tolerance) -> Accept:  # noqa: ARG001
    symbols = frozenset(node.symbols)

    def accept(value: Any) -> str:
        if type(value) is str and value in symbols:
            return value
        raise _must(f"one of {', '.join(node.symbols)}", value)

    return accept


def _record(node: Node, tolerance: Tolerance) -> Accept:
    fields = [(field.name, _accept(field.type, tolerance), field.default) for field in node.fields]
    names = frozenset(name for name, _, _ in fields)

    def accept(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise _must("an object", value)
        result = {}
        for name, accept_field, default in fields:
            given = value.get(name, _ABSENT)
            if given is _ABSENT and default is NO_DEFAULT:
                absent = [name for name, _, default in fields if default is NO_DEFAULT and name not in value]
                raise _invalid(f"{named(absent, 'key')} {'is' if len(absent) == 1 else 'are'} missing.")
            result[name] = default if given is _ABSENT else _within(name, accept_field, given)
        if not tolerance.unknown_fields and not names.issuperset(value):
            strange = next(key for key in value if key not in names)
            raise _invalid(
                f"key {strange!r:.60} is not a field of {node.name}. Add it to event.avsc, or set "
                "`unknown_fields: ignore` in pipeline.yaml."
            )
        return result

    return accept


def _array(node: Node, tolerance: Tolerance) -> Accept:
    assert node.item is not None
    accept_item = _accept(node.item, tolerance)

    def accept(value: Any) -> list[Any]:
        if type(value) is not list:
            raise _must("an array", value)
        return [_within(str(index), accept_item, item) for index, item in enumerate(value)]

    return accept


def _map(node: Node, tolerance: Tolerance) -> Accept:
    assert node.item is not None
    accept_item = _accept(node.item, tolerance)
    accept_key = _text(Node("string", 1), _EXACT)

    def accept(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise _must("an object", value)
        return {accept_key(key): _within(key[:60], accept_item, item) for key, item in value.items()}

    return accept


def _union(node: Node, tolerance: Tolerance) -> Accept:
    rounds = [_EXACT] if tolerance == _EXACT else [_EXACT, tolerance]
    readers = [_accept(branch, each) for each in rounds for branch in node.branches]

    def accept(value: Any) -> Any:
        reasons = []
        for accept_branch in readers:
            try:
                return accept_branch(value)
            except Refused as refused:
                reasons.append(refused.detail)
        raise _invalid(f"fits no branch: {' '.join(reasons[-len(node.branches) :])}")

    return accept


def _within(name: str, accept: Accept, value: Any) -> Any:
    try:
        return accept(value)
    except Refused as refused:
        refused.path.append(f".{name}")
        raise


_BUILDERS: Final[dict[str, Callable[[Node, Tolerance], Accept]]] = {
    "null": _null,
    "boolean": _boolean,
    "enum": _enum,
    "record": _record,
    "array": _array,
    "map": _map,
    "union": _union,
    **dict.fromkeys(("int", "long"), _integer),
    **dict.fromkeys(("float", "double"), _number),
    **dict.fromkeys(("string", "bytes", "fixed"), _text),
}
