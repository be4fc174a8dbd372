"""What consumer and reader have in common: taking records from several partitions, and sorting them by role."""

from collections.abc import Callable, Mapping, Sequence

from freshet.contracts.batch import Batch
from freshet.runtime.bus.memory.partition_log import MemoryRecord, PartitionLog
from freshet.runtime.bus.protocol import Place


def take(
    positions: dict[Place, int],
    turn: Sequence[Place],
    log: Callable[[Place], PartitionLog],
    limit: int,
    limit_bytes: int,
    *,
    end: Callable[[PartitionLog], int],
) -> list[MemoryRecord]:
    """Up to limit records, partition after partition in the order of `turn`; moves the positions on.

    `end` says up to which offset of a partition there is anything to see.
    """
    taken: list[MemoryRecord] = []
    for place in turn:
        if len(taken) >= limit or limit_bytes <= 0:
            break
        of = log(place)
        records, positions[place] = of.fetch(positions[place], limit - len(taken), limit_bytes, end(of))
        limit_bytes -= sum(record.size_bytes() for record in records)
        taken += records
    return taken


def batches(records: Sequence[MemoryRecord], topics: Mapping[str, str]) -> tuple[Batch, ...]:
    """One batch for each role that has records, in the order of `topics` (role to physical name)."""
    by_topic: dict[str, list[MemoryRecord]] = {}
    for record in records:
        by_topic.setdefault(record.topic(), []).append(record)
    return tuple(Batch(role, by_topic[topic]) for role, topic in topics.items() if topic in by_topic)
