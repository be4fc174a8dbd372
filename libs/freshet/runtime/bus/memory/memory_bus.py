"""Makes clients of a cluster in memory for one namespace and pipeline."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

from freshet.contracts.topic_table import TopicNames
from freshet.runtime.bus.memory.calls import client_call
from freshet.runtime.bus.memory.cluster import MemoryCluster
from freshet.runtime.bus.memory.memory_consumer import MemoryGroupConsumer
from freshet.runtime.bus.memory.memory_producer import MemoryProducer, MemoryTransactionalProducer
from freshet.runtime.bus.memory.memory_reader import MemoryLogReader, MemoryRangeReader
from freshet.runtime.bus.protocol import Assignor, Place, Span, TopicIds


class MemoryBus:
    """Implements `bus.Bus`. Several buses may share a cluster, as processes share a broker."""

    client = "bus"

    def __init__(self, cluster: MemoryCluster, names: TopicNames) -> None:
        self.cluster = cluster
        self.names = names
        self._topic = cache(names.topic)

    def of_pipeline(self, pipeline: str) -> "MemoryBus":
        """See `bus.Bus`."""
        return MemoryBus(self.cluster, replace(self.names, pipeline=pipeline))

    @client_call
    def consumer(
        self,
        service: str,
        roles: Sequence[str],
        instance: str | None,
        assignor: Assignor = "cooperative-sticky",
    ) -> MemoryGroupConsumer:
        """See `bus.Bus`."""
        return MemoryGroupConsumer(self.cluster, self.names.group(service), self._topics(roles), instance, assignor)

    def transactional_producer(self, service: str, slot: str, *, reopen: bool = True) -> MemoryTransactionalProducer:
        """See `bus.Bus`."""
        transactional_id = self.names.transactional_id(service, slot)
        return MemoryTransactionalProducer(self.cluster, transactional_id, self._topic, reopen=reopen)

    def producer(self) -> MemoryProducer:
        """See `bus.Bus`."""
        return MemoryProducer(self.cluster, self._topic)

    @client_call
    def reader(self, roles: Sequence[str], starts: Mapping[Place, int] | None = None) -> MemoryLogReader:
        """See `bus.Bus`."""
        return MemoryLogReader(self.cluster, self._topics(roles), starts)

    @client_call
    def ranges(self, roles: Sequence[str]) -> MemoryRangeReader:
        """See `bus.Bus`."""
        return MemoryRangeReader(self.cluster, self._topics(roles))

    @client_call
    def spans(self, role: str) -> dict[int, Span]:
        """See `bus.Bus`."""
        topic = self.cluster.find_topic(self._topic(role))
        return {log.at.partition: log.span() for log in topic.logs} if topic is not None else {}

    @client_call
    def offsets_at(self, role: str, timestamp_ms: int) -> dict[int, int]:
        """See `bus.Bus`."""
        topic = self.cluster.find_topic(self._topic(role))
        return {log.at.partition: log.offset_at(timestamp_ms) for log in topic.logs} if topic is not None else {}

    @client_call
    def ask_topic_ids(self, roles: Sequence[str]) -> TopicIds:
        """See `bus.Bus`. The answer is that of the moment of asking."""
        found = {role: self.cluster.find_topic(self._topic(role)) for role in roles}
        ids = {role: topic.topic_id if topic is not None else "" for role, topic in found.items()}
        return lambda: ids

    @client_call
    def partition_counts(self, roles: Sequence[str]) -> dict[str, int]:
        """See `bus.Bus`."""
        found = {role: self.cluster.find_topic(self._topic(role)) for role in roles}
        return {role: len(topic.logs) if topic is not None else 0 for role, topic in found.items()}

    def topic_id(self, role: str) -> str:
        """See `bus.Bus`."""
        return self.ask_topic_ids([role])()[role]

    def _topics(self, roles: Sequence[str]) -> dict[str, str]:
        return {role: self._topic(role) for role in roles}
