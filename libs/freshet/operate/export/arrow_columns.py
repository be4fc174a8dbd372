"""Columns of Freshet's records as Arrow arrays."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa

from freshet.avro import Column, Ragged, Strings
from freshet.avro.ragged import pack, starts_of
from freshet.contracts import topic_id
from freshet.contracts.arrays import Ints
from freshet.contracts.batch import Batch

MOMENT: Final = pa.timestamp("ms", tz="UTC")
PLACE: Final = (("partition", pa.int32()), ("offset", pa.int64()), ("written_at", MOMENT))
"""Where a record lies, and when the broker got it: each table has these columns."""

Fields = list[tuple[str, Any]]
"""Names and Arrow types of columns, in order."""


def arrow_array(column: Column) -> Any:
    """A column of numbers or text, each value as wide as it is in Avro."""
    if isinstance(column, Strings):
        return text_array(column)
    assert isinstance(column, np.ndarray)
    return pa.array(column)


def text_array(column: Strings) -> Any:
    """Text, copied once."""
    data, _ = pack(column.data, column.starts, column.lengths)
    ends = np.concatenate([[0], np.cumsum(column.lengths)]).astype(np.int32)
    return pa.StringArray.from_buffers(len(column), pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(data)))


def moments(milliseconds: Any) -> Any:
    """Milliseconds since 1970 as moments in UTC."""
    return pa.array(np.asarray(milliseconds, np.int64)).cast(MOMENT)


def topic_ids(column: Column) -> Any:
    """Topic ids as Kafka's own tools show them; null where the writer did not know it."""
    assert isinstance(column, Strings)
    ids = column.tobytes()
    known = {one: None if one == topic_id.UNKNOWN_BYTES else topic_id.to_text(one) for one in set(ids)}
    return pa.array([known[one] for one in ids], pa.string())


def members(column: Column, width: int) -> Iterator[Any]:
    """`width` arrays of a column of lists: each row's first member, its second, …; null where a list is shorter."""
    assert isinstance(column, Ragged)
    starts = starts_of(column.lengths)
    for number in range(width):
        there = column.lengths > number
        values = np.zeros(len(column), column.flat.dtype)
        values[there] = column.flat[starts[there] + number]
        yield pa.array(values, mask=None if there.all() else ~there)


def place_arrays(batch: Batch, at: Ints) -> list[Any]:
    """The columns of `PLACE` for these rows of a batch."""
    return [
        pa.array(batch.partitions[at]),
        pa.array(batch.offsets[at]),
        moments(batch.timestamps_ms[at]),
    ]
