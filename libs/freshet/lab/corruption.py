"""Ways in which producers spoil events: one small pure function each, for replays, demos and fault runs.

Every spoiled event must end as a dead letter, and none may disturb another; a test holds ingestion to it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np

from freshet.avro import Column, Columns, Enum, Nullable, Strings, take
from freshet.avro.event_fields import EventField, event_fields
from freshet.avro.own_schemas import USER_ID_BIT, Schema
from freshet.contracts.arrays import Ints
from freshet.contracts.errors import ContractError
from freshet.operate.event_values import Encode, event_encoder, json_values, widened, with_impossible_symbol
from freshet.pipeline import PipelineSpec

T = TypeVar("T")

HOLDS_UP: Final = "unknown_schema"
"""The one kind that stops a partition, for up to a minute: `freshet apply` may be about to publish that schema."""

_YEAR_9999_MS: Final = 253_370_764_800_000
_UNKNOWN_ID: Final = 2 * USER_ID_BIT  # above every id that Freshet gives; always one, as ingestion waits for each
_PADDED_MAX: Final = 900_000  # larger values are refused by the broker itself, before Freshet sees them

Spoil = Callable[["Corrupter", np.random.Generator, "Victim"], bytes | None]


@dataclass(frozen=True, slots=True, eq=False)
class Victim:
    """A good event about to be spoiled: the value that would be sent, and its columns (one row)."""

    value: bytes
    columns: Columns


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to spoil an event; `fits` tells for which pipelines there is such a way."""

    spoil: Spoil
    fits: Callable[["Corrupter"], bool] = lambda _: True


class Corrupter:
    """Spoils events of one pipeline. The same generator state and events give the same bytes."""

    def __init__(self, spec: PipelineSpec, schema: Schema, schema_id: int, only: Collection[str] | None = None) -> None:
        """`only` leaves out all other kinds; by default all that fit, but for the one that holds partitions up.

        Raises ContractError for a kind that does not fit, or does not exist.
        """
        self.spec = spec
        self.fields: Mapping[str, EventField] = event_fields(schema)
        self.encode: Encode = event_encoder(spec, schema, schema_id)
        self.encode_widened: Encode = event_encoder(spec, with_impossible_symbol(schema), schema_id)
        self.fitting = tuple(name for name, kind in KINDS.items() if kind.fits(self))
        self.kinds: tuple[str, ...] = tuple(
            only if only is not None else (kind for kind in self.fitting if kind != HOLDS_UP)
        )
        strange = [name for name in self.kinds if name not in self.fitting]
        if strange:
            raise ContractError(
                f"events of {spec.pipeline!r} cannot be spoiled as {strange[0]!r}; they can as "
                f"{', '.join(self.fitting)}."
            )

    def corrupt(self, kind: str, rng: np.random.Generator, victim: Victim) -> bytes | None:
        """The victim's value, spoiled in this way; `kind` is one of `kinds`."""
        return KINDS[kind].spoil(self, rng, victim)

    def corrupt_some(
        self, rng: np.random.Generator, share: float, values: list[bytes], columns: Columns
    ) -> tuple[list[bytes | None], dict[int, str]]:
        """The values with about this share of them spoiled, and the kind by row of those that were."""
        spoiled: list[bytes | None] = list(values)
        rows: Ints = np.flatnonzero(rng.random(len(values)) < share)
        kinds = [self.kinds[at] for at in rng.integers(len(self.kinds), size=rows.size).tolist()]
        for row, kind in zip(rows.tolist(), kinds, strict=True):
            one = {name: take(column, np.array([row])) for name, column in columns.items()}
            spoiled[row] = self.corrupt(kind, rng, Victim(values[row], one))
        return spoiled, dict(zip(rows.tolist(), kinds, strict=True))

    def with_field(self, victim: Victim, field: str, value: object) -> bytes:
        """The victim encoded with another value in one field."""
        return self.encode({**victim.columns, field: _of_one(victim.columns[field], value)})[0]

    def range_breaks(self) -> list[tuple[str, float]]:
        """Fields with a rule on their range, and a value outside of it that the field can hold."""
        return list(_range_breaks(self.spec, self.fields))

    def finite_fields(self) -> list[str]:
        """Float fields that a rule demands to be finite."""
        return [rule.field for rule in self.spec.rules if rule.finite and self.fields[rule.field].kind == "float"]

    def strangers(self) -> list[tuple[str, object]]:
        """Fields with a rule that lists their values, and a value that it does not list."""
        return list(_strangers(self.spec, self.fields))

    def enums(self) -> list[str]:
        """Fields of an enum type."""
        return [name for name, field in self.fields.items() if field.kind == "enum"]


def _truncated(_: Corrupter, rng: np.random.Generator, victim: Victim) -> bytes:
    return victim.value[: int(rng.integers(len(victim.value)))]


def _trailing(_: Corrupter, rng: np.random.Generator, victim: Victim) -> bytes:
    return victim.value + rng.integers(33, 127, size=int(rng.integers(1, 9)), dtype=np.uint8).tobytes()


def _wrong_magic(_: Corrupter, rng: np.random.Generator, victim: Victim) -> bytes:
    return bytes([int(rng.integers(1, 256))]) + victim.value[1:]


def _unknown_schema(_: Corrupter, rng: np.random.Generator, victim: Victim) -> bytes:  # noqa: ARG001
    return victim.value[:1] + _UNKNOWN_ID.to_bytes(4, "big") + victim.value[5:]


def _json_for_avro(_: Corrupter, rng: np.random.Generator, victim: Victim) -> bytes:  # noqa: ARG001
    return json_values(victim.columns)[0]


def _null(_: Corrupter, rng: np.random.Generator, victim: Victim) -> None:  # noqa: ARG001
    return None


def _too_large(at: Corrupter, rng: np.random.Generator, victim: Victim) -> bytes:
    return victim.value.ljust(at.spec.max_event_bytes + int(rng.integers(1, 1000)), b" ")


def _out_of_range(at: Corrupter, rng: np.random.Generator, victim: Victim) -> bytes:
    field, bound = _any(rng, at.range_breaks())
    return at.with_field(victim, field, bound)


def _not_finite(at: Corrupter, rng: np.random.Generator, victim: Victim) -> bytes:
    return at.with_field(victim, _any(rng, at.finite_fields()), _any(rng, [np.nan, np.inf, -np.inf]))


def _bad_category(at: Corrupter, rng: np.random.Generator, victim: Victim) -> bytes:
    field, stranger = _any(rng, at.strangers())
    return at.with_field(victim, field, stranger)


def _bad_symbol(at: Corrupter, rng: np.random.Generator, victim: Victim) -> bytes:
    columns, field = widened(victim.columns), _any(rng, at.enums())
    return at.encode_widened({**columns, field: _of_one(columns[field], len(at.fields[field].symbols))})[0]


def _year_9999(at: Corrupter, rng: np.random.Generator, victim: Victim) -> bytes:  # noqa: ARG001
    field = at.spec.event_time
    return at.with_field(victim, field, min(_YEAR_9999_MS * at.fields[field].ticks_per_ms, (1 << 63) - 1))


def _is_avro(at: Corrupter) -> bool:
    return at.spec.decoder == "avro"


KINDS: Final[Mapping[str, Kind]] = {
    "truncated": Kind(_truncated),
    "trailing": Kind(_trailing),
    "wrong_magic": Kind(_wrong_magic, _is_avro),
    "unknown_schema": Kind(_unknown_schema, _is_avro),
    "json_for_avro": Kind(_json_for_avro, _is_avro),
    "null": Kind(_null),
    "too_large": Kind(_too_large, lambda at: at.spec.max_event_bytes < _PADDED_MAX),
    "out_of_range": Kind(_out_of_range, lambda at: bool(at.range_breaks())),
    "not_finite": Kind(_not_finite, lambda at: bool(at.finite_fields())),
    "bad_category": Kind(_bad_category, lambda at: bool(at.strangers())),
    "bad_symbol": Kind(_bad_symbol, lambda at: bool(at.enums())),
    "year_9999": Kind(_year_9999, lambda at: at.fields[at.spec.event_time].kind in ("time", "integer")),
}
"""All ways there are, by name."""


def _range_breaks(spec: PipelineSpec, fields: Mapping[str, EventField]) -> Iterator[tuple[str, float]]:
    """Values just outside: half as far again as the bound is from zero, and at least 1, so that float32 sees it too."""
    for rule in spec.rules:
        limit = {"integer": 2.0**31 - 1, "time": 2.0**62}.get(fields[rule.field].kind, 1e30)
        if rule.max is not None and (above := rule.max + 1 + abs(rule.max) // 2) < limit:
            yield rule.field, above
        if rule.min is not None and (below := rule.min - 1 - abs(rule.min) // 2) > -limit:
            yield rule.field, below


def _strangers(spec: PipelineSpec, fields: Mapping[str, EventField]) -> Iterator[tuple[str, object]]:
    for rule in spec.rules:
        kind = fields[rule.field].kind
        if not rule.one_of:
            continue
        if kind == "integer":
            yield rule.field, max(choice for choice in rule.one_of if isinstance(choice, int)) + 1
        elif kind == "text":
            yield rule.field, "?" + "".join(map(str, rule.one_of))
        else:
            left_out = [code for code, symbol in enumerate(fields[rule.field].symbols) if symbol not in rule.one_of]
            yield from ((rule.field, code) for code in left_out[:1])


def _of_one(column: Column, value: Any) -> Column:
    """A column like this one with a single row; for an enum, the value is a code."""
    if isinstance(column, Nullable):
        return Nullable(_of_one(column.values, value), np.ones(1, np.bool_))
    if isinstance(column, Strings):
        return Strings.from_list([str(value)])
    if isinstance(column, Enum):
        return Enum(np.array([value], np.int32), column.symbols)
    assert isinstance(column, np.ndarray), "rules are on numbers, text and enums"
    return np.array([value]).astype(column.dtype)


def _any(rng: np.random.Generator, choices: list[T]) -> T:
    return choices[int(rng.integers(len(choices)))]
