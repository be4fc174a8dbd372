"""What a table says, as one number: the same rows have the same digest, whatever file or program holds them."""

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa


class ContentDigest:
    """A SHA-256 of columns that come in parts; where a part ends makes no difference.

    A column has three SHA-256: of a byte for each row, 1 for a value and 0 for null; of the length of each row as
    int64, if it holds text or bytes, else of nothing; and of the values one after another: text and bytes as they are,
    numbers little-endian, a moment as int64 milliseconds, a bool as a byte, null as 0 or nothing. The digest is the
    SHA-256 of a line for each column in order: name, type and these three in hexadecimal, with spaces between them.
    """

    def __init__(self, schema: Any) -> None:
        """`schema`: a pyarrow.Schema of numbers, bools, moments, text and bytes."""
        self._columns = [(field.name, str(field.type), [hashlib.sha256() for _ in range(3)]) for field in schema]

    def add(self, rows: Any) -> None:
        """Take in the next rows, a pyarrow.RecordBatch of the schema."""
        for column, (_, _, (nulls, lengths, values)) in zip(rows.columns, self._columns, strict=True):
            nulls.update(_bytes(column.is_valid(), np.uint8))
            filled = column.fill_null(pa.scalar(_zero(column.type), column.type)) if column.null_count else column
            if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
                texts = filled.cast(pa.binary())
                sizes = pa.compute.binary_length(texts)
                lengths.update(_bytes(sizes, np.int64))
                values.update(_joined(texts))
            elif pa.types.is_boolean(column.type):
                values.update(_bytes(filled, np.uint8))
            else:
                numbers = filled.cast(pa.int64()) if pa.types.is_timestamp(column.type) else filled
                values.update(_bytes(numbers, None))

    def hexdigest(self) -> str:
        """The digest of all rows so far."""
        lines = (
            f"{name} {kind} {' '.join(part.hexdigest() for part in parts)}\n" for name, kind, parts in self._columns
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def _bytes(column: Any, dtype: Any) -> bytes:
    values = column.to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(values if dtype is None else values.astype(dtype)).tobytes()


def _joined(texts: Any) -> memoryview:
    """The bytes of all rows, one after another, of an array that may be a part of a longer one."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32, len(texts) + 1, texts.offset * 4)
    return memoryview(data or b"")[ends[0] : ends[-1]]


def _zero(kind: Any) -> Any:
    if pa.types.is_string(kind):
        return ""
    if pa.types.is_binary(kind):
        return b""
    return False if pa.types.is_boolean(kind) else 0
