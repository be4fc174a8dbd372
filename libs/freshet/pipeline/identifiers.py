"""Identifiers of events as text: who an event is about, and which one it is."""

from typing import Final

import numpy as np

from freshet.avro import Column, Nullable, NumericColumn, Strings, concat

_INT64_DIGITS: Final = 20


def text_of(column: Column) -> Strings:
    """An identifier as text: whole numbers in decimal, null as empty."""
    if isinstance(column, Nullable):
        text = text_of(column.values)
        return Strings(text.data, text.starts, np.where(column.valid, text.lengths, 0))
    if isinstance(column, Strings):
        return column
    if isinstance(column, np.ndarray):
        return _decimal(column)
    raise TypeError(f"a {type(column).__name__} column holds no identifiers.")


def filled(entities: Strings, event_ids: Strings) -> Strings:
    """The entities, with the event's own id where there is none: such an event belongs to nobody else."""
    empty = entities.lengths == 0
    if not empty.any():
        return entities
    rows = np.arange(len(entities))
    return concat([entities, event_ids]).take(np.where(empty, rows + len(entities), rows))


def _decimal(numbers: NumericColumn) -> Strings:
    digits = numbers.astype(f"S{_INT64_DIGITS}")  # the minus sign and 19 digits
    lengths = np.strings.str_len(digits).astype(np.int64)
    starts = np.arange(numbers.size, dtype=np.int64) * _INT64_DIGITS
    return Strings(digits.view(np.uint8), starts, lengths)
