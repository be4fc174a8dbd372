"""A member of a consumer group in memory."""

from collections.abc import Iterable, Mapping, Sequence

from freshet.runtime.bus.memory.calls import client_call
from freshet.runtime.bus.memory.cluster import MemoryCluster
from freshet.runtime.bus.memory.consumer_group import Membership
from freshet.runtime.bus.memory.fetch import batches, take
from freshet.runtime.bus.memory.partition_log import At, MemoryRecord, PartitionLog
from freshet.runtime.bus.protocol import (
    Assignor,
    Changes,
    Collected,
    Committed,
    ExpiredError,
    FatalError,
    Place,
    RetriableError,
    Span,
)


class MemoryGroupConsumer:
    """Implements `bus.GroupConsumer`. `member` is its name in the cluster, as `cluster.expire` takes it."""

    def __init__(
        self,
        cluster: MemoryCluster,
        group: str,
        topics: Mapping[str, str],
        instance: str | None,
        assignor: Assignor,
    ) -> None:
        """`topics` maps role to physical name."""
        self.cluster = cluster
        self._group = cluster.group(group)
        self._topics = dict(topics)
        self._roles = {topic: role for role, topic in topics.items()}
        self._instance, self._assignor = instance, assignor
        self._owned: set[Place] = set()
        self._positions: dict[Place, int] = {}  # of started partitions only
        self._turn = 0
        self._generation = 0
        self._revoked: list[Place] = []
        self._assigned: list[Place] = []
        self.member = self._join()

    @client_call
    def collect(self, limit: int, limit_bytes: int, timeout_s: float) -> Collected | None:  # noqa: ARG002
        """See `bus.GroupConsumer`. Never waits: what is not there now will not come by waiting."""
        self._serve_rebalance()
        self._check_positions()
        self._turn += 1
        records = self._take(1, limit_bytes)
        if not records:
            return None
        membership = self._membership()
        interruption = self.cluster.take_interruption(self.member)
        if interruption is not None:
            interruption()
        interrupted = self._serve_rebalance()
        if limit > 1:
            records += self._take(limit - 1, limit_bytes - records[0].size_bytes())
        return Collected(batches(records, self._topics), membership, interrupted)

    @client_call
    def take_changes(self) -> Changes:
        """See `bus.GroupConsumer`."""
        changes = Changes(tuple(self._revoked), tuple(self._assigned))
        self._revoked, self._assigned = [], []
        return changes

    @client_call
    def owned(self) -> frozenset[Place]:
        """See `bus.GroupConsumer`."""
        return frozenset(self._owned)

    @client_call
    def membership(self) -> Membership:
        """See `bus.GroupConsumer`."""
        return self._membership()

    @client_call
    def committed(self, places: Sequence[Place], timeout_s: float) -> dict[Place, Committed | None]:  # noqa: ARG002
        """See `bus.GroupConsumer`."""
        for place in places:
            if self.cluster.transactions.is_pending(self._group, self._at(place)):
                raise RetriableError(
                    f"reading committed offsets: a transaction on {place.role}/{place.partition} is still open."
                )
        return {place: self._group.committed(self._at(place)) for place in places}

    @client_call
    def start(self, place: Place, offset: int) -> None:
        """See `bus.GroupConsumer`."""
        if place not in self._owned:
            raise FatalError(f"{place.role}/{place.partition} is not ours: it cannot be started.")
        self._positions[place] = offset

    @client_call
    def pause(self, place: Place) -> None:
        """See `bus.GroupConsumer`."""
        self._positions.pop(place, None)

    @client_call
    def span(self, place: Place) -> Span:
        """See `bus.GroupConsumer`."""
        return self._log(place).span()

    @client_call
    def close(self) -> None:
        """See `bus.GroupConsumer`."""
        if self._instance is None and self.member in self._group:
            self._group.leave(self.member)
        self._owned.clear()
        self._positions.clear()

    @property
    def client(self) -> str:
        """See `calls.Client`."""
        return self.member

    def _membership(self) -> Membership:
        return Membership(self._group.name, self.member, self._group.generation)

    def _take(self, limit: int, limit_bytes: int) -> list[MemoryRecord]:
        flowing = sorted(self._positions)
        first = self._turn % len(flowing) if flowing else 0  # so that no busy partition starves another
        turn = flowing[first:] + flowing[:first]
        return take(self._positions, turn, self._log, limit, limit_bytes, end=self._end)

    def _end(self, log: PartitionLog) -> int:
        return self.cluster.horizon(log, self.member)

    def _check_positions(self) -> None:
        for place, position in self._positions.items():
            log = self._log(place)
            if not log.low <= position <= log.high_watermark:
                del self._positions[place]
                raise ExpiredError(place, position)

    def _join(self) -> str:
        member = self.cluster.new_member_id(self._instance)
        self._group.join(member, list(self._roles), self._instance, self._assignor)
        return member

    def _serve_rebalance(self) -> bool:
        """What a real client's rebalance callbacks do; True if there was anything to be told."""
        if self.member not in self._group:
            if self._group.has_instance(self._instance):
                raise FatalError(f"another process has taken the place of {self._instance}: this one must exit.")
            self._lose(self._owned.copy())
            self.member = self._join()
        revoked, assigned = self._group.sync(self.member, [self._at(place) for place in self._owned])
        told = bool(revoked or assigned) or self._group.generation != self._generation
        self._generation = self._group.generation
        self._lose(self._place(at) for at in revoked)
        gained = [self._place(at) for at in assigned]
        self._owned.update(gained)
        self._assigned += gained
        return told

    def _lose(self, places: Iterable[Place]) -> None:
        for place in places:
            self._owned.discard(place)
            self._positions.pop(place, None)
            if place in self._assigned:
                self._assigned.remove(place)
            else:
                self._revoked.append(place)

    def _at(self, place: Place) -> At:
        return At(self._topics[place.role], place.partition)

    def _place(self, at: At) -> Place:
        return Place(self._roles[at.topic], at.partition)

    def _log(self, place: Place) -> PartitionLog:
        return self.cluster.log(self._at(place))
