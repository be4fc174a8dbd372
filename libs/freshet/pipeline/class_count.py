"""How many classes a pipeline may have: an evaluation counts each pair of truth and answer, in one record."""

from collections.abc import Sequence
from typing import Final

_RECORD_BYTES: Final = 1_020_000
"""So much of Kafka's 1 MiB is left for pairs and names; the rest is for what else an evaluation says."""
_PAIR_BYTES: Final = 8
_NAME_BYTES: Final = 2
"""Beside the letters of a name."""


def class_problem(classes: Sequence[str]) -> str:
    """Why so many classes, or such long names, cannot be evaluated; empty if they can."""
    count = len(classes)
    names = sum(_NAME_BYTES + len(name.encode()) for name in classes)
    if _PAIR_BYTES * count * count + names <= _RECORD_BYTES:
        return ""
    most = int(((_RECORD_BYTES - names) / _PAIR_BYTES) ** 0.5) if names < _RECORD_BYTES else 0
    return (
        f"{count:,} classes are too many: an evaluation counts each pair of truth and answer in one record, which has "
        f"room for {min(most, count - 1):,} with such names. Put rare ones together, as `other`, in the labels as "
        "well, or make pipelines of parts of them."
    )
