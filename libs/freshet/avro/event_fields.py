"""What the fields of an event schema are, as rules and transforms see them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from fastavro.schema import expand_schema

from freshet.avro.schemas import Schema
from freshet.contracts.errors import SchemaError

FieldKind = Literal["integer", "float", "boolean", "text", "enum", "time", "other"]

_KINDS: Final[dict[str, FieldKind]] = {
    "int": "integer",
    "long": "integer",
    "float": "float",
    "double": "float",
    "boolean": "boolean",
    "string": "text",
    "enum": "enum",
}
_TICKS_PER_MS: Final = {
    f"{clock}timestamp-{unit}": ticks
    for clock in ("", "local-")
    for unit, ticks in (("millis", 1), ("micros", 1000), ("nanos", 1_000_000))
}
_NUMBERS: Final = frozenset({"int", "long", "float", "double"})


@dataclass(frozen=True, slots=True)
class EventField:
    """One field of an event; a nested record's field is named `outer.inner`.

    `other` is what no transform or rule reads: bytes, arrays, maps, unions of more than null and one type, and numbers
    with a logical type that says that they are something else (a date, a time of day, one that we do not know).
    `ticks_per_ms` is 1000 for timestamps in microseconds, 1,000,000 in nanoseconds, else 1. Local ones count as UTC.
    """

    name: str
    kind: FieldKind
    nullable: bool = False
    symbols: tuple[str, ...] = ()
    ticks_per_ms: int = 1

    def choices_fault(self, choices: Sequence[int | str]) -> str | None:
        """Why some of these can never be a value of this field, as a sentence; None if all can."""
        if self.kind == "enum":
            strangers = [choice for choice in choices if choice not in self.symbols]
            known = f"its symbols are {', '.join(self.symbols)}"
        else:
            wanted = int if self.kind == "integer" else str
            strangers = [choice for choice in choices if not isinstance(choice, wanted)]
            known = "it holds whole numbers" if wanted is int else "it holds text; put numbers in quotes"
        return f"field {self.name!r} can never be {strangers[0]!r}: {known}." if strangers else None


def event_fields(schema: Schema) -> dict[str, EventField]:
    """All fields by name, in the schema's order. The schema must have passed `codec.lint`.

    Raises SchemaError on what lint lets pass and fastavro does not, such as a type wrapped twice.
    """
    try:
        expanded: Any = expand_schema(dict(schema))
    except Exception as error:  # fastavro's exceptions share no base class
        raise SchemaError(f"the event schema cannot be used: {error}.") from error
    return {field.name: field for field in _fields(expanded, "")}


def _fields(record: Mapping[str, Any], prefix: str) -> Iterator[EventField]:
    for declared in record["fields"]:
        name, kind = prefix + declared["name"], declared["type"]
        if isinstance(kind, Mapping) and kind["type"] == "record":
            yield from _fields(kind, f"{name}.")
        else:
            yield _leaf(name, kind)


def _leaf(name: str, kind: Any) -> EventField:
    nullable = isinstance(kind, list) and len(kind) == 2 and "null" in kind
    if nullable:
        kind = next(branch for branch in kind if branch != "null")
    if isinstance(kind, list):
        return EventField(name, "other")
    if isinstance(kind, str):
        return EventField(name, _KINDS.get(kind, "other"), nullable)
    if kind["type"] == "long" and kind.get("logicalType") in _TICKS_PER_MS:
        return EventField(name, "time", nullable, ticks_per_ms=_TICKS_PER_MS[kind["logicalType"]])
    if kind["type"] in _NUMBERS and kind.get("logicalType"):
        return EventField(name, "other", nullable)
    return EventField(name, _KINDS.get(kind["type"], "other"), nullable, tuple(kind.get("symbols", ())))
