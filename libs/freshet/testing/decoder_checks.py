"""What every event decoder must be, whoever wrote it."""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final

import numpy as np

from freshet.avro import Column, Columns, DecodeReason, Enum, Nullable, Rows, Strings, take
from freshet.avro.own_schemas import Schema, event_schema_id
from freshet.ingestion.core.decoder import EventDecoder
from freshet.testing.conformance import ConformanceError, require

_COLORS: Final = ("red", "green", "blue")

EVENT_SCHEMA: Final[Schema] = {
    "type": "record",
    "name": "Checked",
    "namespace": "freshet.testing",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "count", "type": "long"},
        {"name": "small", "type": "int"},
        {"name": "amount", "type": "double"},
        {"name": "ok", "type": "boolean"},
        {"name": "color", "type": {"type": "enum", "name": "Color", "symbols": list(_COLORS)}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "maybe", "type": ["null", "double"], "default": None},
    ],
}
"""The event schema of the events that `check_decoder` asks to be written."""

EVENT_SCHEMA_ID: Final = event_schema_id(EVENT_SCHEMA)
"""Its id, for formats that name one."""

_EVENTS: Final[list[dict[str, Any]]] = [
    {
        "id": f"é-{row}",
        "count": (row - 3) * 1_000_000_007,
        "small": row - 5,
        "amount": (row - 2) / 7,
        "ok": row % 3 == 0,
        "color": _COLORS[row % 3],
        "at": 1_750_000_000_000 + row,
        "maybe": None if row % 4 == 0 else row / 3,
    }
    for row in range(12)
]
_MAX_BYTES: Final = 4096
_DAMAGES: Final = 300


def check_decoder(part: type[EventDecoder], write: Callable[[Mapping[str, Any]], bytes]) -> None:
    """Check a decoder of events of EVENT_SCHEMA, which `write` turns into values as a producer would.

    An event comes as `{"id": "é-1", "color": "green", "at": 1750000000001, "maybe": None, ...}`, times in milliseconds.
    The columns must be those that an Avro producer's events give, for each row whatever its neighbours are. `read` may
    never raise: every value is either read or refused, with a reason's code and a sentence, also where it is null,
    empty, too long, cut short or damaged. Raises ConformanceError.
    """
    require(getattr(part, "kind", ""), f"{part.__name__} has no `kind`, the word that names it in pipeline.yaml.")
    check = _Check(part, [write(event) for event in _EVENTS])
    check.events_are_read()
    check.rows_do_not_know_each_other()
    check.unusable_values_are_refused()
    check.damage_is_never_fatal()


class _Check:
    """A decoder, and good events in its format."""

    def __init__(self, part: type[EventDecoder], values: list[bytes]) -> None:
        self._name = f"decoder {part.kind!r}"
        self._values = values
        try:
            self._decoder = part({EVENT_SCHEMA_ID: EVENT_SCHEMA}, EVENT_SCHEMA, max_bytes=_MAX_BYTES)
        except Exception as error:
            raise ConformanceError(
                f"{self._name} cannot be made for EVENT_SCHEMA: {type(error).__name__} ({error})."
            ) from error

    def events_are_read(self) -> None:
        """All of them, into the columns of the schema."""
        rows = self._read(self._values)
        for bad in rows.refused:
            raise ConformanceError(f"{self._name} refuses the good event {_EVENTS[bad.row]}: {bad.detail}")
        self._equal(rows.columns, _expected(), "of good events")
        self._equal(self._read(self._values).columns, rows.columns, "of the same events, read again,")

    def rows_do_not_know_each_other(self) -> None:
        """Alone, and in the opposite order."""
        for row, value in enumerate(self._values):
            expected = {name: take(column, np.array([row])) for name, column in _expected().items()}
            self._equal(self._read([value]).columns, expected, f"of event {row} alone")
        turned = {name: take(c, np.arange(len(_EVENTS))[::-1].copy()) for name, c in _expected().items()}
        self._equal(self._read(self._values[::-1]).columns, turned, "of events in the opposite order")

    def unusable_values_are_refused(self) -> None:
        """By all decoders under the same codes, without harm to the neighbours."""
        unusable = (
            (None, DecodeReason.EMPTY, "a null value"),
            (b"", DecodeReason.EMPTY, "a value of no bytes"),
            (self._values[1] + bytes(_MAX_BYTES), DecodeReason.TOO_LARGE, "a value longer than `max_bytes`"),
        )
        for value, reason, what in unusable:
            rows = self._read_between(value, what)
            refused = [bad.reason for bad in rows.refused]
            require(refused == [reason], f"{self._name} must refuse {what} as {reason.value}; it says {refused}.")

    def damage_is_never_fatal(self) -> None:
        """Cut short anywhere, with bits turned over, and noise."""
        chance = Random(7)  # noqa: S311 (a fixed seed)
        good = self._values[1]
        damaged = [good[:length] for length in range(1, len(good))]
        for _ in range(_DAMAGES):
            bits = int.from_bytes(good, "big") ^ (1 << chance.randrange(8 * len(good)))
            damaged += [bits.to_bytes(len(good), "big"), chance.randbytes(chance.randrange(1, 60))]
        for value in damaged:
            self._read_between(value, f"the damaged value {value[:80]!r}")

    def _read_between(self, value: bytes | None, what: str) -> Rows:
        """What it makes of a value between two good events, which must come out unharmed."""
        rows = self._read([self._values[0], value, self._values[2]])
        read = rows.at.tolist()
        require({0, 2} <= set(read), f"{self._name} refuses a good event because of its neighbour, {what}.")
        good = np.array([read.index(0), read.index(2)])
        expected = {name: take(column, np.array([0, 2])) for name, column in _expected().items()}
        found = {name: take(column, good) for name, column in rows.columns.items()}
        self._equal(found, expected, f"of events beside {what}")
        return rows

    def _read(self, values: Sequence[bytes | None]) -> Rows:
        """What it reads, if it accounts for each row once."""
        try:
            rows = self._decoder.read(values)
        except Exception as error:
            shown = [value and value[:80] for value in values]
            raise ConformanceError(
                f"{self._name} raises {type(error).__name__} ({error}) on {shown}: `read` may never raise; what cannot "
                "be read goes to `refused`."
            ) from error
        read = rows.at.tolist()
        require(read == sorted(set(read)), f"{self._name}: the rows `at` must ascend; they are {read}.")
        told = sorted([*read, *(bad.row for bad in rows.refused)])
        require(
            told == list(range(len(values))),
            f"{self._name} accounts for the rows {told} of {len(values)} values: each must be read or refused, once.",
        )
        for bad in rows.refused:
            require(
                bad.reason.startswith("input_") and bad.detail,
                f"{self._name} refuses a row as {bad.reason!r} with {bad.detail!r}: it must be a code that begins with "
                "input_, and a sentence for a person.",
            )
        return rows

    def _equal(self, columns: Columns, expected: Columns, what: str) -> None:
        require(
            list(columns) == list(expected),
            f"{self._name} gives the columns {list(columns)} {what}; they must be those of the schema: "
            f"{list(expected)}.",
        )
        for name, column in columns.items():
            made, wanted = _plain(column), _plain(expected[name])
            require(made == wanted, f"{self._name} makes {made} of field {name!r} {what}; it must be {wanted}.")


def _plain(column: Column) -> tuple[str, list[Any]]:
    """The column's type and its values, to compare and to show."""
    if isinstance(column, Nullable):
        kind, values = _plain(column.values)
        valid = column.valid.tolist()
        return f"{kind} or null", [value if there else None for value, there in zip(values, valid, strict=True)]
    if isinstance(column, np.ndarray):
        return str(column.dtype), column.tolist()
    return type(column).__name__, column.tolist() if isinstance(column, Strings | Enum) else [column]


def _expected() -> dict[str, Column]:
    """The columns of `_EVENTS`, as the Avro codec makes them."""
    given = {name: [event[name] for event in _EVENTS] for name in _EVENTS[0]}
    maybe = given["maybe"]
    return {
        "id": Strings.from_list(given["id"]),
        "count": np.array(given["count"], np.int64),
        "small": np.array(given["small"], np.int32),
        "amount": np.array(given["amount"], np.float64),
        "ok": np.array(given["ok"], np.bool_),
        "color": Enum(np.array([_COLORS.index(color) for color in given["color"]], np.int32), _COLORS),
        "at": np.array(given["at"], np.int64),
        "maybe": Nullable(
            np.array([value or 0.0 for value in maybe], np.float64), np.array([value is not None for value in maybe])
        ),
    }
