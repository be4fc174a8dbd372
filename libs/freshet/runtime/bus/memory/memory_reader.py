"""Reads whole topics in memory, without a group."""

from collections.abc import Mapping, Sequence
from typing import Final

from freshet.contracts.batch import Batch, Record
from freshet.runtime.bus.memory.calls import client_call
from freshet.runtime.bus.memory.cluster import MemoryCluster
from freshet.runtime.bus.memory.fetch import batches, take
from freshet.runtime.bus.memory.partition_log import At, PartitionLog
from freshet.runtime.bus.protocol import Place

_NO_LIMIT_BYTES: Final = 2**62


class MemoryLogReader:
    """Implements `bus.LogReader`."""

    client = "reader"

    def __init__(self, cluster: MemoryCluster, topics: Mapping[str, str], starts: Mapping[Place, int] | None) -> None:
        """`topics` maps role to physical name."""
        self.cluster = cluster
        self._topics = dict(topics)
        self._starts = starts
        self._positions: dict[Place, int] = {}
        self._ends: dict[Place, int] = {}
        self._mark_ends()

    @client_call
    def read(self, limit: int, timeout_s: float) -> list[Batch]:  # noqa: ARG002
        """See `bus.LogReader`. Never waits: what is not there now will not come by waiting."""
        for place, position in self._positions.items():
            self._positions[place] = max(position, self._log(place).low)  # retention may have overtaken us
        records = take(self._positions, list(self._positions), self._log, limit, _NO_LIMIT_BYTES, end=self._end)
        return list(batches(records, self._topics))

    @client_call
    def caught_up(self) -> bool:
        """See `bus.LogReader`."""
        return all(self._positions[place] >= end for place, end in self._ends.items())

    @client_call
    def mark_ends(self) -> None:
        """See `bus.LogReader`."""
        self._mark_ends()

    @client_call
    def close(self) -> None:
        """See `bus.LogReader`."""

    def _mark_ends(self) -> None:
        for role, name in self._topics.items():
            topic = self.cluster.find_topic(name)
            for log in topic.logs if topic is not None else ():
                place = Place(role, log.at.partition)
                if self._starts is None or place in self._starts:
                    self._positions.setdefault(place, (self._starts or {}).get(place, log.low))
                    self._ends[place] = log.last_stable_offset

    def _end(self, log: PartitionLog) -> int:
        return self.cluster.horizon(log, self.client)

    def _log(self, place: Place) -> PartitionLog:
        return self.cluster.log(At(self._topics[place.role], place.partition))


class MemoryRangeReader:
    """Implements `bus.RangeReader`."""

    client = "ranges"

    def __init__(self, cluster: MemoryCluster, topics: Mapping[str, str]) -> None:
        """`topics` maps role to physical name."""
        self.cluster = cluster
        self._topics = dict(topics)

    @client_call
    def read(self, place: Place, first: int, end: int) -> tuple[Sequence[Record], int]:
        """See `bus.RangeReader`."""
        log = self.cluster.log(At(self._topics[place.role], place.partition))
        there = self.cluster.horizon(log, self.client)
        records, _ = log.fetch(max(first, log.low), max(end - first, 1), _NO_LIMIT_BYTES, min(end, there))
        return records, min(end, there)

    @client_call
    def close(self) -> None:
        """See `bus.RangeReader`."""
