"""What each column of a table is for, as a person would guess from its title and its cells."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from freshet.avro.event_fields import FieldKind
from freshet.operate.tables.cells import (
    EXACT_IN_FLOAT32,
    AmbiguousTimeError,
    TimeFormat,
    is_missing,
    kind_of,
    time_format,
)
from freshet.operate.tables.odd_texts import odd_texts
from freshet.operate.tables.title_words import ENTITY_WORDS, ID_WORDS, TIME_WORDS
from freshet.operate.tables.titles import title_attribute

_FEWEST_ENTITIES: Final = 5
MOST_CATEGORIES: Final = 20
"""A text column with more values than this is taken for free text or an id, a number label for a regression's."""

_AMOUNT: Final = re.compile(r"[+-]?[$€£]? ?[+-]?(\d+|\d{1,3}([,.' ]\d{3})+)([.,]\d+)? ?[%$€£]?")
_AVRO: Final[Mapping[FieldKind, str]] = {"integer": "long", "float": "double", "boolean": "boolean"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: its cells, what they hold, and in which format they are times (None if they are none)."""

    title: str
    field: str
    written: Sequence[str]
    """The cells of all rows of the table."""
    cells: Sequence[str]
    """The same without rows that repeat another, unless many do."""
    kind: FieldKind
    blank: int
    distinct: tuple[str, ...]
    time: TimeFormat | None
    either: tuple[str, ...] = ()
    """The formats of times in which it may be written, where their days and months cannot be told apart."""
    odd: str = ""
    """That it is a column of numbers but for a few texts, if it is, and how to name these as no values."""

    @property
    def words(self) -> list[str]:
        """The words of its title, small: `customerId` and `Customer ID` are customer, id."""
        return re.findall(r"[a-z]+|\d+", re.sub(r"([a-z])([A-Z])", r"\1 \2", self.field).lower().replace("_", " "))

    @property
    def unique(self) -> bool:
        """Whether every row has a value of its own."""
        return not self.blank and len(self.distinct) == len(self.cells) > 1

    @property
    def counted(self) -> str:
        """How many values it has in how many rows, in words."""
        values = f"{len(self.distinct):,} value" + "s" * (len(self.distinct) != 1)
        return f"{values} in {len(self.written):,} rows"

    @property
    def rising(self) -> bool:
        """Whether its numbers never fall, as those of a counter or a clock."""
        if self.kind not in ("integer", "float") or self.blank or len(self.cells) < 3:
            return False
        numbers = [float(cell) for cell in self.cells]
        return all(a <= b for a, b in itertools.pairwise(numbers)) and numbers[0] < numbers[-1]

    @property
    def counter(self) -> bool:
        """Whether it numbers the rows."""
        return self.kind == "integer" and self.unique and self.rising and len(self.cells) >= 20

    @property
    def amounts(self) -> bool:
        """Whether it holds numbers as people write them, with thousands, a currency or a percent sign: no names."""
        if self.kind != "text" or not self.distinct:
            return False
        return all(_AMOUNT.fullmatch(cell) and not cell.isdigit() for cell in self.distinct)

    @property
    def named_id(self) -> bool:
        """Whether its title says that it names something."""
        return not self.title or (bool(self.words) and (self.words[-1] in ID_WORDS or self.words[0] == "unnamed"))

    @property
    def named_time(self) -> bool:
        """Whether its title says that it is a time."""
        return not TIME_WORDS.isdisjoint(self.words)

    @property
    def is_time(self) -> bool:
        """Whether it holds times: texts that can be read so, or numbers that are called so and lie in our age."""
        if self.time is None:
            return False
        if self.kind not in ("integer", "float"):
            return not all(map(str.isdigit, self.distinct))  # codes with leading zeros
        low, high = 946_684_800_000, 4_102_444_800_000  # the years 2000 to 2100
        return self.named_time and all(
            low <= self.time.ms(cell) <= high for cell in self.cells if not is_missing(cell, "time")
        )

    def acceptable_at(self, now_ms: int | None) -> bool:
        """Whether ingestion with `max_event_age: 3650d` takes all its times at this time."""
        if now_ms is None or self.time is None:
            return True
        times = [self.time.ms(cell) for cell in self.cells if not is_missing(cell, "time")]
        return all(now_ms - 3650 * 86_400_000 < at <= now_ms for at in times)

    @property
    def avro(self) -> dict[str, Any]:
        """Its declaration in event.avsc."""
        kind = _AVRO.get(self.kind, "string")
        declared: dict[str, Any] = {"name": self.field, "type": ["null", kind] if self.blank else kind}
        declared |= {"default": None} if self.blank else {}
        return declared | {"doc": f"Column {self.title!r} of the table."} | title_attribute(self.title, self.field)

    @property
    def warning(self) -> str:
        """What a feature of it loses, or may take for a value."""
        if self.kind == "text":
            named = [cell for cell in self.distinct if is_missing(cell, "float")]
            options = " ".join(f"--na {cell!r}" for cell in named)
            texts = ", ".join(map(repr, named))
            return f"in a column of text, {texts} counts as a value; if it means no value, {options}" if named else ""
        if self.kind != "integer":
            return ""
        large = max((abs(int(cell)) for cell in self.distinct), default=0)
        return "whole numbers above 16,777,216 are rounded in a float32 feature" if large > EXACT_IN_FLOAT32 else ""

    def feature(self, roles: "Roles") -> str:  # noqa: PLR0911 - one return for each kind of column
        """Its line under `features.columns`: a comment where it should be none."""
        out = f"    # {self.field} is left out: "
        if self.title in roles.ids or (self.named_id and self.kind == "integer") or self.counter:
            return f"{out}it names or counts rows, and a model would learn them by heart"
        if self.either:
            return f"{out}it is a time, and its days and months cannot be told apart"
        if self.is_time:
            return (
                f"{out}it is a time, and those of training never come back (see cyclic_time); how long it lies back "
                "is a number: docs/models.md, dates and times"
            )
        if self.named_time and self.rising:
            return f"{out}it rises with every row, as a time does, and values of training never come back"
        if not self.distinct or (len(self.distinct) < 2 and self.kind not in _AVRO):
            return f"{out}it has the same value everywhere" if self.distinct else f"{out}it is empty"
        if self.kind in _AVRO:
            note = f"  # {self.warning}" if self.warning else ""
            return f"    - {{kind: field, of: {scalar(self.field)}}}{note}"
        if self.amounts:
            return f"{out}{self.distinct[0]!r} and the like are no plain numbers; write them as 1234.5 to use them"
        if self.odd and len(self.distinct) > MOST_CATEGORIES:
            return f"{out}{self.odd}"
        if len(self.distinct) > MOST_CATEGORIES:
            return f"{out}text with more than {MOST_CATEGORIES} values is no category"
        other = "" if "other" in self.distinct else ", other: true"
        return f"    - {{kind: one_hot, of: {scalar(self.field)}, vocabulary: {flow(self.distinct)}{other}}}"


@dataclass(frozen=True, slots=True)
class Roles:
    """The title of the column in each role, None where no column is; and the titles of all columns that are ids."""

    titles: Mapping[str, str | None]
    ids: frozenset[str]


def column(
    title: str, field: str, written: Sequence[str], cells: Sequence[str], said: TimeFormat | None = None
) -> Column:
    """Looks at all cells of a column, see `Column`; `said` is how it writes times, if all its cells can be read so."""
    kind = kind_of(cells)
    either: tuple[str, ...] = ()
    try:
        time = None if kind in ("boolean", "float") else said if _all_in(cells, said) else time_format(cells)
    except AmbiguousTimeError as error:
        time, either = None, error.formats
    present = [cell for cell in cells if not is_missing(cell, "time" if time else kind)]
    distinct = tuple(sorted(set(present)))
    odd = odd_texts(written) if kind == "text" and time is None else ""
    return Column(title, field, written, cells, kind, len(cells) - len(present), distinct, time, either, odd)


def _all_in(cells: Sequence[str], form: TimeFormat | None) -> bool:
    present = [cell for cell in cells if not is_missing(cell, "time")]
    return form is not None and bool(present) and all(map(form.reads, present))


def guess_roles(columns: Sequence[Column], given: Mapping[str, str | None], now_ms: int | None = None) -> Roles:
    """Which column is the id, the entity and the time; what is given, or titled like its role, is not guessed."""
    titles = dict(given)
    for role, title in given.items():
        if title is None:
            named = [found.title for found in columns if found.field.lower() == role and not found.blank]
            titles[role] = named[0] if named else None
    guesses = {
        "event_time": lambda found: _as_time(found) * found.acceptable_at(now_ms),
        "event_id": _as_id,
        "entity": _as_entity,
    }
    for role, fitness in guesses.items():
        free = [found for found in columns if found.title not in titles.values()]
        best = max(free, key=fitness, default=None)
        if titles[role] is None and best is not None and fitness(best) > 0:
            titles[role] = best.title
    others = {found.title for found in columns if found.named_id and (found.unique or found.kind == "integer")}
    return Roles(titles, frozenset(others))


def _as_time(found: Column) -> int:
    return 0 if found.blank or not found.is_time else 2 if found.named_time else 1


def _as_id(found: Column) -> int:
    if not found.unique or found.kind not in ("integer", "text") or found.is_time or found.amounts:
        return 0
    if found.named_id:
        return 3
    text = found.kind == "text" and not found.odd
    one_word = text and len(found.cells) >= 20 and not any(" " in cell for cell in found.cells)
    return 2 if found.counter and _steps_of_one(found) else 1 if one_word else 0


def _steps_of_one(found: Column) -> bool:
    return int(found.cells[-1]) - int(found.cells[0]) == len(found.cells) - 1


def _as_entity(found: Column) -> int:
    """Something that returns: a text or number that is called so, or a text with too many values for a category."""
    returns = 2 <= len(found.distinct) <= len(found.cells) / 2
    if found.blank or not returns or found.kind not in ("integer", "text") or found.is_time or found.amounts:
        return 0
    called = not ENTITY_WORDS.isdisjoint(found.words)
    many = found.kind == "integer" or len(found.distinct) >= _FEWEST_ENTITIES  # three titles are a category
    if found.named_id or (called and many and len(found.words) == 1):
        return 4 if called else 3
    if found.kind == "integer":
        return 0
    if len(found.distinct) <= MOST_CATEGORIES:
        return 0  # a customer's segment is a category
    return 2 if called else int(not found.odd and not any(" " in cell for cell in found.distinct))


def scalar(text: str) -> str:
    """A text as YAML reads it back: a field called `on` or `no` needs quotes."""
    return flow([text])[1:-1]


def flow(values: Sequence[str]) -> str:
    """A list on one line, quoted where YAML would read something else than text."""
    return yaml.safe_dump(list(values), default_flow_style=True, width=math.inf, allow_unicode=True).strip()
