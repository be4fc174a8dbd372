"""What the fields of an event schema are, as rules and transforms see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from freshet.avro.own_schemas import Schema
from freshet.avro.parsing import parse
from freshet.avro.plan import Leaf, plan_of

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
    """All fields by name, in the schema's order; raises SchemaError for a schema that `lint` objects to."""
    return {leaf.name: _field(leaf) for leaf in plan_of(parse(schema))}


def _field(leaf: Leaf) -> EventField:
    node, kind = leaf.node, _KINDS.get(leaf.node.kind, "other")
    ticks_per_ms = _TICKS_PER_MS.get(node.logical) if node.kind == "long" else None
    if ticks_per_ms:
        kind = "time"
    elif node.logical and kind in ("integer", "float"):
        kind = "other"
    nullable = leaf.null_branch is not None or node.null_at is not None
    return EventField(leaf.name, kind, nullable, node.symbols, ticks_per_ms or 1)
