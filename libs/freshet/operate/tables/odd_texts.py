"""Texts that seem to say "no value" in a column of numbers, but that nobody has named yet: k.A., missing, n. v."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from freshet.operate.tables.cells import is_code, is_missing
from freshet.operate.tables.numerals import reads_as_number

_FEW_TEXTS: Final = 5
_SHARE: Final = 0.2


def odd_texts(cells: Sequence[str]) -> str:
    """That a column holds numbers but for a few texts, and how to name these; empty where it does not."""
    present = [cell for cell in cells if not is_missing(cell, "float")]
    odd = Counter(cell for cell in present if not reads_as_number(cell))
    if not odd or len(odd) > _FEW_TEXTS or odd.total() > _SHARE * len(present):
        return ""
    if any(is_code(cell) for cell in present):
        return ""
    held = ", ".join(f"{text!r} ({count:,} times)" for text, count in odd.most_common())
    options = " ".join(f"--na {text!r}" for text in odd)
    percent = 100 * (len(present) - odd.total()) // len(present)
    return f"{percent} % of its cells are numbers, the others hold {held}: if that means no value, {options}"
