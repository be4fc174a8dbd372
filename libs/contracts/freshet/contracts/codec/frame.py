"""Confluent's frame around every value: byte 0x00, then the schema id in four bytes, big-endian."""

from collections.abc import Sequence

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.contracts.codec.ragged import starts_of, windows

HEADER_BYTES = 5
NOT_FRAMED = -1


def frame_header(schema_id: int) -> bytes:
    """The five bytes before a value; raises ValueError if the id does not fit 32 bits."""
    if not 0 <= schema_id < 1 << 32:
        raise ValueError(f"schema id {schema_id} does not fit the 4 bytes of the frame.")
    return b"\x00" + schema_id.to_bytes(4, "big")


def frame_ids(values: Sequence[bytes | None]) -> tuple[Ints, Ints]:
    """The schema id of each value, and its whole length in bytes; int64 (n,) each.

    The id is -1 where a value is not framed: null, empty, under five bytes, or a first byte other than 0x00. The
    length of a null is -1.
    """
    lengths = byte_lengths(values)
    sizes = np.maximum(lengths, 0)
    padding = bytes(HEADER_BYTES)  # so that a short last value can be looked at like any other
    present = values if not (lengths < 0).any() else [value or b"" for value in values]
    buffer = np.frombuffer(b"".join([*present, padding]), np.uint8)  # type: ignore[list-item]
    starts = starts_of(sizes)
    ids = windows(buffer, 4)[starts + 1].view(">u4").astype(np.int64)
    ids[(lengths < HEADER_BYTES) | (buffer[starts] != 0)] = NOT_FRAMED
    return ids, lengths


def byte_lengths(values: Sequence[bytes | None]) -> Ints:
    """Length of each value, -1 for null; int64 (n,)."""
    try:
        return np.fromiter(map(len, values), np.int64, len(values))  # type: ignore[arg-type]
    except TypeError:
        return np.array([-1 if value is None else len(value) for value in values], np.int64)
