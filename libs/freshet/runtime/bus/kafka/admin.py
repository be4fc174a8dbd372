"""Looks after a cluster: topics and their settings, and how far groups have come."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from freshet.runtime.bus.kafka import config
from freshet.runtime.bus.kafka.admin_client import admin_client
from freshet.runtime.bus.kafka.admin_errors import UnseenError, admin_error
from freshet.runtime.bus.kafka.asked_again import asked_again
from freshet.runtime.bus.kafka.config import REQUEST_TIMEOUT_S, ClientConfig
from freshet.runtime.bus.kafka.connection_errors import ConnectionErrors
from freshet.runtime.bus.kafka.kafka_error import kafka_error
from freshet.runtime.bus.kafka.offset_metadata import metadata_of
from freshet.runtime.bus.protocol import Committed
from freshet.runtime.topic_plan import TopicState

BROKER_DEFAULT: Final = -1

_POLL_S: Final = 0.01

_ABSENT: Final = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})


class Ends(NamedTuple):
    """Where a partition ends: for a read_committed reader (`stable`), and with what is not decided yet (`high`)."""

    stable: int
    high: int


class Brokers(NamedTuple):
    """Host and port of a partition's leader, and of all brokers."""

    leader: tuple[str, int]
    all: tuple[tuple[str, int], ...]


class KafkaAdmin:
    """An administrator's view of one cluster. Each call blocks for at most about twice `timeout_s`.

    Raises UnreachableError when nobody answers or lets us in, RetriableError when the same call may succeed later, else
    AdminError.
    """

    def __init__(
        self, bootstrap_servers: str, *, extra: ClientConfig | None = None, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> None:
        """`extra` are further client settings, such as TLS and SASL; they win over ours."""
        self._bootstrap_servers = bootstrap_servers
        self._timeout_s = timeout_s
        config.check(extra or {})
        self._errors = ConnectionErrors()
        self._settings = config.common(bootstrap_servers, extra or {}) | {"error_cb": self._errors}
        self._client = admin_client(self, self._settings)

    @property
    def address(self) -> str:
        """Where this cluster is: its bootstrap servers."""
        return self._bootstrap_servers

    def names(self) -> list[str]:
        """All topics that this principal may see, sorted."""
        with self._explained("listing topics"):
            return sorted(self._client.list_topics(timeout=self._timeout_s).topics)

    def describe(self, topics: Collection[str]) -> dict[str, TopicState]:
        """These topics as they are now, by name; absent ones are left out."""
        return asked_again(lambda: self._described(topics), self._timeout_s) if topics else {}

    def _described(self, topics: Collection[str]) -> dict[str, TopicState]:
        found: dict[str, TopicState] = {}
        resources = {topic: ConfigResource(ResourceType.TOPIC, topic) for topic in topics}
        with self._explained("describing topics"):
            states = self._client.describe_topics(TopicCollection([*topics]), request_timeout=self._timeout_s)
            settings = self._client.describe_configs([*resources.values()], request_timeout=self._timeout_s)
            for topic, resource in resources.items():
                try:
                    described, entries = states[topic].result(), settings[resource].result()
                except KafkaException as error:
                    if kafka_error(error).code() not in _ABSENT:
                        raise
                    continue
                configs = {entry.name: entry.value for entry in entries.values() if entry.value is not None}
                replicas = min(len(partition.replicas) for partition in described.partitions)
                found[topic] = TopicState(len(described.partitions), configs, str(described.topic_id), replicas)
        return found

    def create(
        self,
        topic: str,
        partitions: int,
        configs: Mapping[str, str] | None = None,
        *,
        replication_factor: int = BROKER_DEFAULT,
    ) -> None:
        """Create a topic and wait until the cluster knows it; AdminError if it exists already."""
        new = NewTopic(topic, partitions, replication_factor, config=dict(configs or {}))
        with self._explained(f"creating topic {topic}"):
            answers = self._client.create_topics(
                [new], operation_timeout=self._timeout_s, request_timeout=2 * self._timeout_s
            )
            answers[topic].result()
        self._wait(lambda: self.describe([topic]), f"creating topic {topic}")

    def alter(self, topic: str, configs: Mapping[str, str]) -> None:
        """Set these settings of a topic, and wait until they are in force; all others stay as they are. Idempotent."""
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in configs.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        with self._explained(f"altering topic {topic}"):
            self._client.incremental_alter_configs([resource], request_timeout=self._timeout_s)[resource].result()

        def in_force() -> bool:
            found = self.describe([topic])[topic].configs
            return all(found.get(name) == value for name, value in configs.items())

        self._wait(in_force, f"altering topic {topic}")

    def delete(self, topics: Collection[str]) -> None:
        """Delete topics with all that they hold, and wait until the cluster has forgotten them; no service calls it.

        Absent ones are no error.
        """
        if not topics:
            return
        with self._explained("deleting topics"):
            for answer in self._client.delete_topics([*topics], operation_timeout=self._timeout_s).values():
                unless(_ABSENT, answer)
        self._wait(lambda: not {*topics} & {*self.names()}, "deleting topics")

    def committed(self, group: str, topic: str, *, stable: bool = False) -> dict[int, Committed]:
        """A group's committed offsets on a topic, by partition; those without one are left out.

        What an open transaction is about to commit does not count yet; with `stable`, it is RetriableError.
        """
        found = self.committed_at(group, self.partitions([topic]), stable=stable)
        return {partition: at for (_, partition), at in found.items()}

    def committed_at(
        self, group: str, places: Collection[tuple[str, int]], *, stable: bool = False
    ) -> dict[tuple[str, int], Committed]:
        """A group's committed offsets on these (topic, partition); see `committed`."""
        if not places:
            return {}
        asked = [TopicPartition(*place) for place in places]
        # Not by the administrator's request: librdkafka 2.16 ends the process with a segmentation fault in it when the
        # group's coordinator has moved, as when a broker restarts (rd_kafka_cgrp_op, in a client that has no group).
        isolation = "read_committed" if stable else "read_uncommitted"
        reader = Consumer(self._settings | {"group.id": group, "isolation.level": isolation})
        try:
            with self._explained(f"reading the offsets of group {group}"):
                found = reader.committed(asked, self._timeout_s)
                for at in found:
                    if at.error is not None:
                        raise KafkaException(at.error)
        finally:
            reader.close()
        # where nothing was committed the client answers with a negative offset
        return {(at.topic, at.partition): Committed(at.offset, metadata_of(at)) for at in found if at.offset >= 0}

    def end_offsets(self, topic: str) -> dict[int, int]:
        """The end of each partition for a read_committed reader; an absent topic gives {}."""
        asked = self.partitions([topic])
        found = self._latest(asked, IsolationLevel.READ_COMMITTED) if asked else {}
        return {partition: end for (_, partition), end in found.items()}

    def partitions(self, topics: Collection[str]) -> set[tuple[str, int]]:
        """All (topic, partition) of these topics; absent ones have none."""
        with self._explained("listing topics"):
            found = self._client.list_topics(timeout=self._timeout_s).topics
        return {(topic, partition) for topic in topics if topic in found for partition in found[topic].partitions}

    def ends(self, places: Collection[tuple[str, int]]) -> dict[tuple[str, int], Ends]:
        """Both ends of each of these (topic, partition)."""
        if not places:
            return {}
        stable = self._latest(places, IsolationLevel.READ_COMMITTED)
        high = self._latest(places, IsolationLevel.READ_UNCOMMITTED)
        return {place: Ends(stable[place], high[place]) for place in places}

    def timestamp_at(self, topic: str, partition: int, offset: int) -> int | None:
        """The timestamp of the first record at or after an offset, visible or not; None if none came in time."""
        reader = Consumer(self._settings | {"group.id": "freshet", "isolation.level": "read_uncommitted"})
        try:
            reader.assign([TopicPartition(topic, partition, offset)])
            message = reader.poll(self._timeout_s)
            return None if message is None or message.error() is not None else message.timestamp()[1]
        finally:
            reader.close()

    def plain_brokers(self, topic: str, partition: int) -> Brokers | None:
        """Where the brokers listen, should they listen without TLS and login; else None."""
        if self._settings.get("security.protocol", "plaintext").lower() != "plaintext":
            return None
        with self._explained("listing brokers"):
            found = self._client.list_topics(topic, timeout=self._timeout_s)
        brokers = {at.id: (str(at.host), at.port) for at in found.brokers.values()}
        leader = brokers.get(found.topics[topic].partitions[partition].leader)
        return None if leader is None else Brokers(leader, tuple(brokers.values()))

    def _latest(self, places: Collection[tuple[str, int]], isolation: IsolationLevel) -> dict[tuple[str, int], int]:
        return asked_again(lambda: self._ends(places, isolation), self._timeout_s)

    def _ends(self, places: Collection[tuple[str, int]], isolation: IsolationLevel) -> dict[tuple[str, int], int]:
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = {TopicPartition(*place): latest for place in places}
        with self._explained("reading the ends of partitions"):
            answers = self._client.list_offsets(asked, isolation_level=isolation, request_timeout=self._timeout_s)
            return {(at.topic, at.partition): answer.result().offset for at, answer in answers.items()}

    def _wait(self, condition: Callable[[], object], doing: str) -> None:
        """Brokers learn what the controller has already acknowledged a little later."""
        deadline = time.monotonic() + self._timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise UnseenError(f"{doing}: done, but not seen by the brokers after {self._timeout_s:.0f} s.")
            time.sleep(_POLL_S)

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            self._client.poll(0)  # callbacks run only here
            at = self._bootstrap_servers
            raise admin_error(kafka_error(error), doing, at, self._timeout_s, self._errors) from error


def unless(harmless: Collection[int], answer: "Future[Any]") -> int | None:
    """Wait for an answer; the code of an error that does no harm here, or None. Raises KafkaException."""
    try:
        answer.result()
    except KafkaException as error:
        code = kafka_error(error).code()
        if code not in harmless:
            raise
        return code
    return None
