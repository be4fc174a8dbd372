"""Records and batches made by hand, for tests of what is done with them."""

from collections.abc import Sequence
from typing import Final

from freshet.contracts.batch import Batch, Headers
from freshet.runtime.bus.memory.partition_log import At, MemoryRecord, Payload

NOW_MS: Final = 1_750_000_000_000


def row(
    partition: int, offset: int, value: bytes | None = b"v", key: bytes | None = b"k", headers: Headers | None = None
) -> MemoryRecord:
    """A record of topic `p.features`."""
    return MemoryRecord(At("p.features", partition), offset, NOW_MS + offset, Payload(key, value, headers))


def features(*places: tuple[int, int]) -> Batch:
    """A batch of records at these (partition, offset)."""
    return Batch("features", [row(partition, offset) for partition, offset in places])


def batch(rows: Sequence[MemoryRecord]) -> Batch:
    """A batch of these records."""
    return Batch("features", rows)
