"""Names of fields in a sentence."""

from collections.abc import Sequence
from typing import Final

_MOST: Final = 10
"""A sentence names no more of them; a record may have thousands."""


def named(names: Sequence[str], what: str = "") -> str:
    """Such as `keys 'age', 'car'`; without `what` the bare names. Of more than ten the first, and how many more."""
    shown = ", ".join(repr(name) if what else name for name in names[:_MOST])
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return f"{what}{'s' if len(names) > 1 else ''} {shown}{more}" if what else f"{shown}{more}"
