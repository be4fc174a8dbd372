"""A table's titles: the event field that each becomes, and what is said of one that is not there."""

import itertools
import re
import unicodedata
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

from freshet.avro.own_schemas import Schema
from freshet.operate.operate_error import OperateError

TABLE_TITLE: Final = "table_title"
"""The attribute of a field in event.avsc that says which title its column has in tables, where that is another name."""

_LETTERS: Final = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "æ": "ae", "ø": "o", "ł": "l"}
)


def title_attribute(title: str, field: str) -> dict[str, str]:
    """What event.avsc says of a field's title; nothing where it is the field's name."""
    return {TABLE_TITLE: title} if title not in ("", field) else {}


def fields_by_title(schema: Schema) -> dict[str, str]:
    """The fields of an event schema whose columns have another title in tables, by that title."""
    return {str(declared[TABLE_TITLE]): declared["name"] for declared in schema["fields"] if TABLE_TITLE in declared}


def field_names(header: Sequence[str]) -> list[str]:
    """The event field of each column: its title with everything but letters, digits and _ replaced, made unique.

    A title that is a name already keeps it, whatever another title becomes: `a b` beside `a_b` is `a_b_2`.
    """
    names: list[str] = []
    own = set(header)
    for title in header:
        latin = unicodedata.normalize("NFKD", unicodedata.normalize("NFC", title).translate(_LETTERS))
        latin = "".join(letter for letter in latin if not unicodedata.combining(letter))
        plain = re.sub(r"[^A-Za-z0-9_]+", "_", latin.strip()).strip("_") or "column"
        plain = plain if not plain[0].isdigit() else f"_{plain}"
        numbered = (f"{plain}_{number}" for number in itertools.count(2))
        free = (name for name in itertools.chain([plain], numbered) if name not in names and name not in own - {title})
        names.append(next(free))
    return names


def no_column(table: str, title: str, titles: Sequence[str]) -> OperateError:
    """That the table has no column of that title, with the most similar one that it has, and all of them."""
    small = {known.lower(): known for known in titles}
    near = get_close_matches(title.lower(), small, n=1)
    hint = f" Did you mean {small[near[0]]!r}?" if near else ""
    return OperateError(f"{table} has no column {title!r}.{hint} It has {', '.join(titles)}.", "usage")
