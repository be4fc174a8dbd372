"""Which sign each column of a table has before its decimals: 1.234 is a little above one, or a thousand and more."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from freshet.contracts.errors import ContractError
from freshet.operate.tables.cells import is_missing

_PLAIN: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_GROUPED: Final = re.compile(r"[+-]?([1-9]\d{0,2}(,\d{3})+|\d{1,3}(,\d{3})+\.\d*)")
_SWAPPED: Final = str.maketrans(",.", ".,")
_NAMES: Final = {".": "point", ",": "comma"}
_SHOWN: Final = 5


def with_point(cell: str, sign: str) -> str:
    """A number that has `sign` before its decimals, and may have the other between its thousands, as Python reads it.

    A number that cannot be meant so (3,5 where the sign is a point) becomes no number; other text stays as it is.
    """
    found = _read(cell, sign)
    if found is None:
        return cell.translate(_SWAPPED) if _PLAIN.fullmatch(cell) else cell
    return found


def reads_as_number(cell: str) -> bool:
    """Whether it is a number with a decimal point, or one with a decimal comma."""
    return _read(cell, ".") is not None or _read(cell, ",") is not None


@dataclass(slots=True)
class Marks:
    """What the cells of one column show: an example of each kind, "" where there is none."""

    point: str = ""
    """A number that can only have a decimal point, such as 12.5 or 1,234.5."""
    comma: str = ""
    """A number that can only have a decimal comma, such as 12,5 or 1.234,5."""
    either: str = ""
    """A number that may have either: 1.234 or 1,234."""
    text: bool = False
    """Whether there is a cell that is no number, however it is read."""

    def see(self, cell: str) -> None:
        """One more cell."""
        if "." not in cell and "," not in cell:
            self.text = self.text or not (cell.isdigit() or is_missing(cell, "float") or _PLAIN.fullmatch(cell))
            return
        point, comma = _read(cell, "."), _read(cell, ",")
        if point is None and comma is None:
            self.text = True
        elif comma is None:
            self.point = self.point or cell
        elif point is None:
            self.comma = self.comma or cell
        else:
            self.either = self.either or cell


@dataclass(frozen=True, slots=True)
class Signs:
    """The decimal sign of each column that shows a mark, by its title, and sentences about what was understood."""

    by_title: Mapping[str, str] = field(default_factory=dict)
    told: Sequence[str] = ()


def decide(
    columns: Mapping[str, Marks], given: str | None, usual: Callable[[str], str | None], otherwise: str | None
) -> Signs:
    """The sign of each column: by its own numbers, else as `given`, as `usual` for its title, or as all others have.

    Where all that leaves it open, it is `otherwise`. Raises ContractError where that is None, where a column
    contradicts itself and nothing is given or usual, and where it contradicts what is usual and nothing is given.
    """
    signs: dict[str, str] = {}
    for title, seen in columns.items():
        if seen.point and seen.comma:
            signs[title] = _judged(given or usual(title), title, seen)
        elif seen.point or seen.comma:
            signs[title] = own = "." if seen.point else ","
            if given is None and usual(title) not in (None, own):
                raise ContractError(_contradiction(title, seen.point or seen.comma, own))
    others = set(signs.values())
    found = otherwise if not others else next(iter(others)) if len(others) == 1 else None
    guessed = []
    for title in (title for title, seen in columns.items() if seen.either and title not in signs):
        sign = given or usual(title) or found
        if sign is None:
            raise ContractError(_ambiguous(title, columns[title].either))
        signs[title] = sign
        if not (given or usual(title)):
            guessed.append(title)
    told = _in_words(signs)
    if guessed and found:
        why = f"as other columns have a decimal {_NAMES[found]}" if others else "as commas separate the columns"
        told.append(_guess(guessed, columns[guessed[0]].either, found, why))
    return Signs(signs, told)


def listed(titles: Iterable[str]) -> str:
    """The first of some titles, and how many more there are."""
    names = [repr(title) for title in titles]
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _read(cell: str, sign: str) -> str | None:
    text = cell if sign == "." else cell.translate(_SWAPPED)
    if _PLAIN.fullmatch(text):
        return text
    return text.replace(",", "") if _GROUPED.fullmatch(text) else None


def _judged(sign: str | None, title: str, seen: Marks) -> str:
    if sign is None:
        raise ContractError(
            f"column {title!r} holds {seen.point!r}, which has a decimal point, and {seen.comma!r}, which has a "
            "decimal comma. Correct the table, or say with --decimal which is right: the others are then no numbers."
        )
    return sign


def _contradiction(title: str, cell: str, own: str) -> str:
    usual = "comma" if own == "." else "point"
    return (
        f"column {title!r} has numbers such as {cell!r}, but the pipeline's tables have decimal {usual}s there "
        f"(table_dialect in event.avsc). Nothing was read: if these have a {_NAMES[own]}, give --decimal {own}"
    )


def _ambiguous(title: str, cell: str) -> str:
    return (
        f"column {title!r} holds numbers such as {cell!r}: that may be {_read(cell, '.')} or {_read(cell, ',')}, and "
        "nothing in the table says which. Give --decimal . or --decimal , to say which sign its decimals have."
    )


def _guess(titles: Sequence[str], cell: str, sign: str, why: str) -> str:
    other = "," if sign == "." else "."
    return (
        f"in {listed(titles)}, {cell!r} is read as {_read(cell, sign)}, {why}; with --decimal {other} it would be "
        f"{_read(cell, other)}"
    )


def _in_words(signs: Mapping[str, str]) -> list[str]:
    commas = [title for title, sign in signs.items() if sign == ","]
    points = [title for title, sign in signs.items() if sign == "."]
    if commas and points:
        return [f"decimals have a comma in {listed(commas)}, and a point in {listed(points)}"]
    return ["decimals have a comma"] if commas else []
