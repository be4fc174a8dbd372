"""Columns compared bit by bit, and bytes with something wrong in them."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from freshet.avro import Column, Enum, Nullable, Objects, Ragged, Strings


def bits(column: Column) -> Any:
    """A column as something that compares equal only to the same bits."""
    if isinstance(column, np.ndarray):
        return column.dtype, column.tobytes()
    if isinstance(column, Strings):
        return column.tobytes()
    if isinstance(column, Ragged):
        return bits(column.flat), column.lengths.tolist()
    if isinstance(column, Enum):
        return column.tolist()
    if isinstance(column, Nullable):
        return column.valid.tolist(), bits(column.take(np.flatnonzero(column.valid)).values)
    assert isinstance(column, Objects)
    return repr(column.values)


def damages(value: bytes) -> st.SearchStrategy[bytes]:
    """The value with something wrong: not always something that matters."""
    places = st.integers(0, max(len(value) - 1, 0))
    odd_bytes = st.sampled_from([0x00, 0x01, 0x02, 0x7F, 0x80, 0xFF])
    flipped = st.tuples(places, st.integers(0, 7)).map(
        lambda at: bytes(byte ^ (1 << at[1] if place == at[0] else 0) for place, byte in enumerate(value))
    )
    overwritten = st.tuples(places, st.lists(odd_bytes, min_size=1, max_size=12)).map(
        lambda at: value[: at[0]] + bytes(at[1]) + value[at[0] + len(at[1]) :]
    )
    inserted = st.tuples(places, st.lists(odd_bytes, min_size=1, max_size=12)).map(
        lambda at: value[: at[0]] + bytes(at[1]) + value[at[0] :]
    )
    cut = places.map(lambda length: value[:length])
    trailing = st.binary(min_size=1, max_size=4).map(lambda tail: value + tail)
    return st.one_of(flipped, overwritten, inserted, cut, trailing, st.binary(max_size=30))
