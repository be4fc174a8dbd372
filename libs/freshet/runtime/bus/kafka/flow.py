"""Which partitions of a group member flow, and from where: what an assignor's protocol allows to do about it."""

from collections.abc import Sequence
from typing import Protocol

from confluent_kafka import Consumer, TopicPartition

# Any concrete offset will do for a partition that is paused: nothing is fetched before `start` gives the right one.
_ANY_OFFSET = 0


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
        """Deliver nothing more of this partition."""

    def settle(self) -> None:
        """Called before each poll: what `start` could not do at once is done now."""


class CooperativeFlow:
    """Partitions come and go one by one, and the others flow on."""

    def __init__(self, client: Consumer) -> None:
        self._client = client

    def gained(self, partitions: Sequence[TopicPartition]) -> None:
        """See `Flow`."""
        arriving = [TopicPartition(at.topic, at.partition, _ANY_OFFSET) for at in partitions]
        self._client.incremental_assign(arriving)
        self._client.pause(arriving)

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """See `Flow`."""
        self._client.incremental_unassign(list(partitions))

    def start(self, at: TopicPartition) -> None:
        """See `Flow`."""
        self._client.incremental_unassign([at])
        self._client.incremental_assign([at])
        self._client.resume([at])

    def pause(self, at: TopicPartition) -> None:
        """See `Flow`."""
        self._client.pause([at])

    def settle(self) -> None:
        """See `Flow`."""


class EagerFlow:
    """The client takes whole assignments only, so all that is to be started before a poll is assigned in one go.

    Partitions that flow already are assigned again at their position: what was fetched ahead of it is fetched again.
    """

    def __init__(self, client: Consumer) -> None:
        self._client = client
        self._starts: dict[tuple[str, int], int | None] = {}  # None: it waits
        self._due: set[tuple[str, int]] = set()

    def gained(self, partitions: Sequence[TopicPartition]) -> None:
        """See `Flow`."""
        self._starts = {(at.topic, at.partition): None for at in partitions}
        self._due.clear()
        self._assign()

    def lost(self, partitions: Sequence[TopicPartition]) -> None:  # noqa: ARG002 - it is always all of them
        """See `Flow`."""
        self._starts.clear()
        self._due.clear()
        self._client.unassign()

    def start(self, at: TopicPartition) -> None:
        """See `Flow`."""
        self._starts[at.topic, at.partition] = at.offset
        self._due.add((at.topic, at.partition))

    def pause(self, at: TopicPartition) -> None:
        """See `Flow`."""
        if (at.topic, at.partition) in self._starts:
            self._starts[at.topic, at.partition] = None
        self._due.discard((at.topic, at.partition))
        self._client.pause([at])

    def settle(self) -> None:
        """See `Flow`."""
        if not self._due:
            return
        flowing = [
            TopicPartition(*place)
            for place, start in self._starts.items()
            if start is not None and place not in self._due
        ]
        for at in self._client.position(flowing):
            known = self._starts[at.topic, at.partition]
            self._starts[at.topic, at.partition] = max(at.offset, known or 0)
        self._due.clear()
        self._assign()

    def _assign(self) -> None:
        everything = [
            TopicPartition(*place, _ANY_OFFSET if start is None else start) for place, start in self._starts.items()
        ]
        self._client.assign(everything)
        waiting = [at for at in everything if self._starts[at.topic, at.partition] is None]
        flowing = [at for at in everything if self._starts[at.topic, at.partition] is not None]
        if waiting:
            self._client.pause(waiting)
        if flowing:
            self._client.resume(flowing)
