"""Which partitions of a group member flow, and from where: what an assignor's protocol allows to do about it.

Only partitions that flow are assigned to the client. The client's own pause and resume are never used: it drops one of
two quick changes to a partition as outdated, and then the partition stays paused for good (librdkafka issues 5591 and
2190). What the group gave us and what the client reads are two things to it: a member may read less than it was given.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from confluent_kafka import Consumer, TopicPartition


class Flow(Protocol):
    """The assignment of one client. `gained` and `lost` are called from its rebalance callbacks."""

    def gained(self, partitions: Sequence[TopicPartition]) -> None:
        """Take these; they wait."""

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Give these up."""

    def start(self, at: TopicPartition) -> None:
        """Deliver this partition from its offset on.

        Assigns it anew: a seek is refused after an expired offset, and waits without bound for its reply.
        """

    def pause(self, at: TopicPartition) -> None:
        """Deliver nothing more of this partition, from the next poll on."""

    def settle(self) -> None:
        """Called before each poll: what `start` and `pause` could not do at once is done now."""


class CooperativeFlow:
    """Partitions come and go one by one, and the others flow on."""

    def __init__(self, client: Consumer) -> None:
        self._client = client
        self._flowing: set[tuple[str, int]] = set()

    def gained(self, partitions: Sequence[TopicPartition]) -> None:  # noqa: ARG002 - none of them flows yet
        """See `Flow`."""
        self._client.incremental_assign([])

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """See `Flow`."""
        self._stop(partitions)

    def start(self, at: TopicPartition) -> None:
        """See `Flow`."""
        self.pause(at)
        self._client.incremental_assign([at])
        self._flowing.add((at.topic, at.partition))

    def pause(self, at: TopicPartition) -> None:
        """See `Flow`."""
        if (at.topic, at.partition) in self._flowing:
            self._stop([at])

    def settle(self) -> None:
        """See `Flow`."""

    def _stop(self, partitions: Iterable[TopicPartition]) -> None:
        flowing = [at for at in partitions if (at.topic, at.partition) in self._flowing]
        self._client.incremental_unassign(flowing)
        self._flowing -= {(at.topic, at.partition) for at in flowing}


class EagerFlow:
    """The client takes whole assignments only, so all that changes before a poll is assigned in one go.

    Partitions that flow on are assigned again at their position: what was fetched ahead of it is fetched again.
    """

    def __init__(self, client: Consumer) -> None:
        self._client = client
        self._flowing: dict[tuple[str, int], int] = {}  # the offset that each goes on at
        self._changed: set[tuple[str, int]] = set()

    def gained(self, partitions: Sequence[TopicPartition]) -> None:  # noqa: ARG002 - none of them flows yet
        """See `Flow`."""
        self._forget()
        self._client.assign([])

    def lost(self, partitions: Sequence[TopicPartition]) -> None:  # noqa: ARG002 - it is always all of them
        """See `Flow`."""
        self._forget()
        self._client.unassign()

    def start(self, at: TopicPartition) -> None:
        """See `Flow`."""
        self._flowing[at.topic, at.partition] = at.offset
        self._changed.add((at.topic, at.partition))

    def pause(self, at: TopicPartition) -> None:
        """See `Flow`."""
        self._flowing.pop((at.topic, at.partition), None)
        self._changed.add((at.topic, at.partition))

    def settle(self) -> None:
        """See `Flow`."""
        if not self._changed:
            return
        for at in self._client.position([TopicPartition(*at) for at in self._flowing if at not in self._changed]):
            self._flowing[at.topic, at.partition] = max(at.offset, self._flowing[at.topic, at.partition])
        self._changed.clear()
        self._client.assign([TopicPartition(*at, offset) for at, offset in self._flowing.items()])

    def _forget(self) -> None:
        self._flowing.clear()
        self._changed.clear()
