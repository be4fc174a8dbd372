"""What the text in a table's cell means: a number, a truth, a time, or nothing. One answer for all commands."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from freshet.avro.event_fields import FieldKind
from freshet.contracts.errors import ContractError

_MISSING: Final = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})
_BOOLEANS: Final = {"true": True, "false": False}
_SWITCHES: Final = {**_BOOLEANS, "1": True, "0": False}
_WHOLE: Final = re.compile(r"[+-]?\d+(\.0*)?")
_LEADING_ZERO: Final = re.compile(r"[+-]?0\d")

EXACT_IN_FLOAT32: Final = 1 << 24
"""Models read float32: above this, neighbouring whole numbers become one."""

_EPOCH_UNITS: Final = (("seconds", 1e8, 1e11), ("milliseconds", 1e11, 1e14), ("microseconds", 1e14, 1e17))
_EPOCH_MS: Final = {"seconds": (1000, 1), "milliseconds": (1, 1), "microseconds": (1, 1000), "nanoseconds": (1, 10**6)}

_DATES: Final = ("%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y%m%d")
_CLOCKS: Final = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", ", %H:%M", ", %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
ISO: Final = "ISO 8601"
TABLE_FORMAT: Final = "table_format"
"""The attribute of a field in event.avsc that says how tables write its times, so that all are read alike."""
FORMATS: Final = (ISO, *(day + clock for day in _DATES for clock in _CLOCKS))


def is_missing(cell: str, field_kind: FieldKind) -> bool:
    """Whether a cell says "no value" in a field of this kind. Among text only an empty one does: NA may be a region."""
    cell = cell.strip()
    return not cell if field_kind in ("text", "enum") else cell.lower() in _MISSING


def number(cell: str) -> float:
    """A finite number; raises ValueError. 1_000 is none, whatever Python says."""
    value = float(cell)
    if "_" in cell or not math.isfinite(value):
        raise ValueError(cell)
    return value


def whole(cell: str) -> int:
    """A whole number that Avro's long can hold, written 3 or 3.0; raises ValueError."""
    if not _WHOLE.fullmatch(cell) or not -(1 << 63) <= (value := int(cell.split(".", maxsplit=1)[0])) < 1 << 63:
        raise ValueError(cell)
    return value


def boolean(cell: str) -> bool:
    """True, false, 1 or 0 in any case; raises KeyError."""
    return _SWITCHES[cell.lower()]


def is_code(cell: str) -> bool:
    """Whether it is a number with leading zeros and no decimals, such as 01067: a name."""
    return bool(_LEADING_ZERO.match(cell)) and "." not in cell and "," not in cell


def kind_of(cells: Iterable[str]) -> FieldKind:
    """What a column holds: boolean, integer, float, else text. Codes with leading zeros (01067) are text."""
    present = [cell for cell in cells if not is_missing(cell, "float")]
    if not present:
        return "text"
    if all(cell.lower() in _BOOLEANS for cell in present):
        return "boolean"
    if any(map(_LEADING_ZERO.match, present)):
        return (
            "float"
            if all(map(_is_number, present)) and all("." in c for c in present if _LEADING_ZERO.match(c))
            else "text"
        )
    if all(map(_is_long, present)):
        return "integer"
    return "float" if all(map(_is_number, present)) else "text"


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """How a column writes times: whole numbers of `unit` since 1970, and texts in the format `text`."""

    unit: str = "milliseconds"
    text: str = ISO

    @property
    def name(self) -> str:
        """How it is written down: `ISO 8601`, a unit since 1970, or a format such as %d.%m.%Y."""
        return self.text if self.text != ISO or self.unit == "milliseconds" else self.unit

    @classmethod
    def named(cls, name: str) -> "TimeFormat":
        """The format of that name; raises ContractError."""
        if name in _EPOCH_MS:
            return cls(unit=name)
        if name != ISO and not _names_days(name):
            raise ContractError(
                f"{name!r} is no way of writing times: {ISO}, a unit ({', '.join(_EPOCH_MS)} since 1970), or a format "
                "with day, month and year, such as %d.%m.%Y or %d/%m/%Y %H:%M:%S (Python's strptime)."
            )
        return cls(text=name)

    def contradicted_by(self, cell: str) -> str:
        """The other format that this cell is surely written in; empty if it may be in this one, or is no time."""
        if cell.lstrip("-").isdigit() and self.text != "%Y%m%d":
            if self.text != ISO:
                return ""
            unit = _unit(abs(int(cell)))
            return unit if unit and unit != self.unit else ""
        if _fits(cell, self.text):
            return ""
        return next((form for form in FORMATS if _fits(cell, form)), "")

    def reads(self, cell: str) -> bool:
        """Whether this cell is a time in this format."""
        try:
            self.ms(cell)
        except (ValueError, OverflowError):
            return False
        return True

    def ms(self, cell: str) -> int:
        """Milliseconds since 1970; a text without a zone is UTC. Raises ValueError."""
        if (self.text == ISO or not cell.isdigit()) and cell.lstrip("-").isdigit():
            times, over = _EPOCH_MS[self.unit]
            return int(cell) * times // over
        return _instant_ms(cell, self.text)


class AmbiguousTimeError(ValueError):
    """Day and month of a column's times cannot be told apart; `formats` are some in which it may be written."""

    def __init__(self, formats: tuple[str, ...]) -> None:
        super().__init__(
            "day and month cannot be told apart in any row: write such times as 2026-05-01, or say in event.avsc "
            'how the table writes them, with "table_format": "%d/%m/%Y" beside the field\'s type.'
        )
        self.formats = formats


class TimeGuess:
    """Finds how a column writes its times, cell by cell."""

    def __init__(self) -> None:
        self._left: tuple[str, ...] = FORMATS
        self._largest = 0
        self._numbers: set[int] = set()
        self._texts = 0

    def see(self, cell: str) -> None:
        """One cell that is not missing."""
        if cell.lstrip("-").isdigit():
            self._numbers.add(len(cell.lstrip("-")))
            self._largest = max(self._largest, abs(int(cell)))
            if len(cell) == 8:
                self._narrow(cell, keep=(ISO,))
            return
        self._texts += 1
        self._narrow(cell)

    def _narrow(self, cell: str, keep: tuple[str, ...] = ()) -> None:
        left = tuple(form for form in self._left if form in keep or _fits(cell, form))
        self._left = left or self._left  # a single stranger is a bad cell, no new format

    def found(self) -> TimeFormat:
        """The format; raises AmbiguousTimeError where day and month cannot be told apart."""
        days = {form[:5] for form in self._left} if self._texts else set()
        if {"%d/%m", "%m/%d"} <= days or {"%d-%m", "%m-%d"} <= days:
            raise AmbiguousTimeError(self._left)
        if not self._texts and self._numbers == {8} and "%Y%m%d" in self._left:
            return TimeFormat(text="%Y%m%d")
        return TimeFormat(_unit(self._largest) or "milliseconds", self._left[0])


def time_format(cells: Iterable[str]) -> TimeFormat | None:
    """The format in which every one of these cells is a time after 1900; None if there is none.

    Raises AmbiguousTimeError if there are several that differ in day and month.
    """
    guess, present = TimeGuess(), [cell for cell in cells if not is_missing(cell, "time")]
    if not present or not (present[0].lstrip("-").isdigit() or any(_fits(present[0], form) for form in FORMATS)):
        return None
    try:
        for cell in present:
            guess.see(cell)
        form = guess.found()
        return form if all(form.ms(cell) > -2_208_988_800_000 for cell in present) else None
    except AmbiguousTimeError as error:
        if all(_fits(cell, error.formats[0]) for cell in present):
            raise
        return None
    except ValueError:
        return None


def _names_days(form: str) -> bool:
    """Whether a day that is written in this format can be read back."""
    at = datetime(2026, 5, 17, 13, 45, tzinfo=UTC)
    try:
        return datetime.strptime(at.strftime(form), form).date() == at.date()
    except ValueError:
        return False


def _unit(number: int) -> str:
    """The unit in which a number is a time of our age; empty if it is small."""
    if number >= 1e17:
        return "nanoseconds"
    return next((unit for unit, low, high in _EPOCH_UNITS if low <= number < high), "")


def _instant_ms(cell: str, form: str) -> int:
    at = datetime.fromisoformat(cell) if form == ISO else datetime.strptime(cell, form)
    elapsed = (at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return (elapsed.days * 86_400 + elapsed.seconds) * 1000 + elapsed.microseconds // 1000


def _fits(cell: str, form: str) -> bool:
    try:
        _instant_ms(cell, form)
    except (ValueError, OverflowError):
        return False
    return True


def _is_long(cell: str) -> bool:
    try:
        whole(cell)
    except ValueError:
        return False
    return "." not in cell


def _is_number(cell: str) -> bool:
    try:
        number(cell)
    except ValueError:
        return False
    return True
