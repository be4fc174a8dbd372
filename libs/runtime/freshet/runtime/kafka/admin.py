"""Looks after a cluster: topics and their settings, and how far groups have come."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from freshet.contracts.errors import FreshetError
from freshet.contracts.topic_plan import Step, TopicState
from freshet.runtime.bus import BusError, Committed, RetriableError
from freshet.runtime.kafka import config
from freshet.runtime.kafka.config import REQUEST_TIMEOUT_S, ClientConfig
from freshet.runtime.kafka.errors import bus_error, kafka_error

BROKER_DEFAULT: Final = -1

_UNREACHABLE: Final = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._RESOLVE,
    }
)
_ABSENT: Final = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})
_FORBIDDEN: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
_NO_OFFSET: Final = 0  # a partition for which a group has committed nothing comes back below it


class UnreachableError(RetriableError):
    """No broker answered in time."""


class AdminError(BusError):
    """The cluster refused; the message says what it was asked, and what to do."""


class KafkaAdmin:
    """An administrator's view of one cluster. Every call blocks for at most about `timeout_s` per request.

    Raises UnreachableError when nobody answers, RetriableError when a later try may succeed, AdminError otherwise.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        extra: ClientConfig | None = None,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> None:
        """`extra` are further client settings, such as TLS and SASL; they win over ours."""
        self._bootstrap_servers = bootstrap_servers
        self._timeout_s = timeout_s
        self._last_error = ""
        self._client = AdminClient(config.common(bootstrap_servers, extra or {}) | {"error_cb": self._on_error})

    def topics(self, names: Collection[str] | None = None) -> dict[str, TopicState]:
        """These topics, or all that this principal may see, by name; absent ones are left out."""
        found = self._partitions(names)
        with self._explained("describing topics"):
            described = self._client.describe_topics(TopicCollection(list(found)), request_timeout=self._timeout_s)
            asked = {name: ConfigResource(ResourceType.TOPIC, name) for name in found}
            entries = self._client.describe_configs(list(asked.values()), request_timeout=self._timeout_s)
            return {
                name: TopicState(
                    partitions,
                    {entry.name: entry.value for entry in entries[asked[name]].result().values()},
                    str(described[name].result().topic_id),
                )
                for name, partitions in sorted(found.items())
            }

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
            self._client.create_topics(
                [new], operation_timeout=self._timeout_s, request_timeout=self._timeout_s + self._timeout_s
            )[topic].result()

    def alter(self, topic: str, configs: Mapping[str, str]) -> None:
        """Set these settings of a topic; all others stay as they are."""
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in configs.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        with self._explained(f"altering topic {topic}"):
            self._client.incremental_alter_configs([resource], request_timeout=self._timeout_s)[resource].result()

    def carry_out(
        self,
        steps: Sequence[Step],
        *,
        replication_factor: int = BROKER_DEFAULT,
        say: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Create and alter as planned; `say` is told of each step that changes something. Idempotent by way of the plan.

        Raises ContractError, before anything is changed, if the plan refuses a topic.
        """
        refused = [f"{step.topic} {step.details}" for step in steps if step.action == "refuse"]
        if refused:
            raise TopicConflictError("\n".join(refused))
        for step in steps:
            if step.action == "create":
                say(f"creating {step.topic} ({step.partitions} partitions)")
                self.create(step.topic, step.partitions, step.configs, replication_factor=replication_factor)
            elif step.action == "alter":
                say(f"altering {step.topic}: {step.details}")
                self.alter(step.topic, step.configs)

    def delete(self, topics: Collection[str]) -> None:
        """Delete topics with all they hold. For tests and `wipe`: nothing that serves ever calls it."""
        with self._explained("deleting topics"):
            futures = self._client.delete_topics(list(topics), operation_timeout=self._timeout_s)
            for future in futures.values():
                future.result()

    def committed(self, group: str, topic: str) -> dict[int, Committed]:
        """A group's committed offsets on a topic by partition, with metadata; partitions without one are left out.

        Waits for open transactions on them, as far as the broker says that there are any.
        """
        asked = [
            ConsumerGroupTopicPartitions(group, [TopicPartition(topic, number) for number in self._partitions([topic])])
        ]
        raise NotImplementedError(asked)

    def end_offsets(self, topic: str) -> dict[int, int]:
        """The end of each partition as a read_committed reader sees it: the offset of the next record it could get."""
        raise NotImplementedError
