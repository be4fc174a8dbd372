"""Confluent's frame around every value: byte 0x00, then the schema id in four bytes, big-endian."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from freshet.avro.ragged import starts_of, windows
from freshet.contracts.arrays import Bytes, Ints

HEADER_BYTES = 5
NOT_FRAMED = -1


def frame_header(schema_id: int) -> bytes:
    """The five bytes before a value; raises ValueError if the id does not fit 32 bits."""
    if not 0 <= schema_id < 1 << 32:
        raise ValueError(f"schema id {schema_id} does not fit the 4 bytes of the frame.")
    return b"\x00" + schema_id.to_bytes(4, "big")


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """Values one after another in `buffer`, where each starts, and its length: -1 for a null, which takes no bytes.

    Zeros follow the last value, so that a reader may look a little beyond it.
    """

    buffer: Bytes
    starts: Ints
    lengths: Ints

    @classmethod
    def of(cls, values: Sequence[bytes | None], padding: int = HEADER_BYTES) -> Self:
        """Join values, with at least as many zeros behind the last as a frame has bytes."""
        lengths = byte_lengths(values)
        zeros = bytes(max(padding, HEADER_BYTES))
        if lengths.size and int(lengths.min()) < 0:
            return cls(_joined([value or b"" for value in values], zeros), starts_of(np.maximum(lengths, 0)), lengths)
        return cls(_joined(values, zeros), starts_of(lengths), lengths)

    def frame_ids(self) -> Ints:
        """The schema id of each value, -1 where it is not framed; int64 (n,).

        The bytes 00 00 00 00 07 … have the id 7: four of them, from the second on, read as one big-endian number.
        """
        ids = windows(self.buffer, 4)[self.starts + 1].view(">u4").astype(np.int64)
        ids[(self.lengths < HEADER_BYTES) | (self.buffer[self.starts] != 0)] = NOT_FRAMED
        return ids


def frame_ids(values: Sequence[bytes | None]) -> tuple[Ints, Ints]:
    """The schema id of each value, and its whole length in bytes; int64 (n,) each.

    The id is -1 where a value is not framed: null, empty, under five bytes, or a first byte other than 0x00. The
    length of a null is -1.
    """
    joined = Joined.of(values)
    return joined.frame_ids(), joined.lengths


def _joined(values: Sequence[bytes | None], zeros: bytes) -> Bytes:
    return np.frombuffer(b"".join([*values, zeros]), np.uint8)  # type: ignore[list-item]


def byte_lengths(values: Sequence[bytes | None]) -> Ints:
    """Length of each value, -1 for null; int64 (n,)."""
    try:
        return np.fromiter(map(len, values), np.int64, len(values))  # type: ignore[arg-type]
    except TypeError:
        return np.array([-1 if value is None else len(value) for value in values], np.int64)
