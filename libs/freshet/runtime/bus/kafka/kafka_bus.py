"""Makes Kafka clients for one namespace and pipeline."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import cache, cached_property
from typing import Final

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    OffsetSpec,
    ResourceType,
    TopicDescription,
)

from freshet.contracts.topic_table import TopicNames
from freshet.runtime.bus.kafka import config
from freshet.runtime.bus.kafka.admin_client import admin_client
from freshet.runtime.bus.kafka.asked_again import asked_again
from freshet.runtime.bus.kafka.config import REQUEST_TIMEOUT_S, ClientConfig
from freshet.runtime.bus.kafka.connection_errors import ConnectionErrors
from freshet.runtime.bus.kafka.idempotent_producer import KafkaProducer
from freshet.runtime.bus.kafka.kafka_consumer import KafkaGroupConsumer
from freshet.runtime.bus.kafka.kafka_error import kafka_error, translated
from freshet.runtime.bus.kafka.kafka_producer import KafkaTransactionalProducer
from freshet.runtime.bus.kafka.kafka_reader import KafkaLogReader
from freshet.runtime.bus.kafka.ranges import KafkaRangeReader
from freshet.runtime.bus.protocol import Assignor, BusError, Place, Span, TopicIds

_LOOK_S: Final = 1.0
"""How long a producer that waits for an acknowledgement asks whether its topic is there; a caller waits, too."""


class KafkaBus:
    """Implements `bus.Bus`."""

    def __init__(
        self,
        bootstrap_servers: str,
        names: TopicNames,
        *,
        extra: ClientConfig | None = None,
        transaction_timeout_ms: int = 15_000,
        patience_s: float = 0.0,
    ) -> None:
        """`extra` are further client settings, such as TLS and SASL; they win over ours. May raise SettingsError.

        A question about topics that a broker cannot answer just now is asked again for `patience_s`: services, which
        have a loop that tries again, need none.
        """
        config.check(extra or {})
        self.names = names
        self._topic = cache(names.topic)
        self._bootstrap_servers = bootstrap_servers
        self._extra = dict(extra or {})
        self._transaction_timeout_ms = transaction_timeout_ms
        self._patience_s = patience_s
        self._errors = ConnectionErrors()

    def of_pipeline(self, pipeline: str) -> "KafkaBus":
        """See `bus.Bus`."""
        return KafkaBus(
            self._bootstrap_servers,
            replace(self.names, pipeline=pipeline),
            extra=self._extra,
            transaction_timeout_ms=self._transaction_timeout_ms,
            patience_s=self._patience_s,
        )

    def consumer(
        self, service: str, roles: Sequence[str], instance: str | None, assignor: Assignor = "cooperative-sticky"
    ) -> KafkaGroupConsumer:
        """See `bus.Bus`."""
        settings = config.group_consumer(
            self._bootstrap_servers, self._extra, self.names.group(service), instance, assignor
        )
        return KafkaGroupConsumer(settings, {role: self._topic(role) for role in roles}, self.spans)

    def transactional_producer(self, service: str, slot: str, *, reopen: bool = True) -> KafkaTransactionalProducer:
        """See `bus.Bus`."""
        settings = config.transactional_producer(
            self._bootstrap_servers,
            self._extra,
            self.names.transactional_id(service, slot),
            self._transaction_timeout_ms,
        )
        return KafkaTransactionalProducer(settings, self._topic, self._max_message_bytes, reopen=reopen)

    def producer(self) -> KafkaProducer:
        """See `bus.Bus`."""
        return KafkaProducer(config.producer(self._bootstrap_servers, self._extra), self._topic, self._is_there)

    def reader(self, roles: Sequence[str], starts: Mapping[Place, int] | None = None) -> KafkaLogReader:
        """See `bus.Bus`."""
        settings = config.reader(self._bootstrap_servers, self._extra, self.names.reader_group)
        return KafkaLogReader(settings, {role: self._topic(role) for role in roles}, starts, self.spans)

    def ranges(self, roles: Sequence[str]) -> KafkaRangeReader:
        """See `bus.Bus`."""
        settings = config.ranges(self._bootstrap_servers, self._extra, self.names.reader_group)
        return KafkaRangeReader(settings, {role: self._topic(role) for role in roles})

    def spans(self, role: str) -> dict[int, Span]:
        """See `bus.Bus`."""
        return asked_again(lambda: self._spans(role), self._patience_s)

    def _spans(self, role: str) -> dict[int, Span]:
        topic = self._topic(role)
        with translated(f"reading the ends of {topic}", self._why, f"READ on topic {topic}"):
            partitions = self._partitions(topic)
            lows = self._offsets(topic, partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
            ends = self._offsets(topic, partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]
            # After the ends, so that it is never below them.
            highs = self._offsets(topic, partitions, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)  # type: ignore[no-untyped-call]
        return {number: Span(lows[number], ends[number], highs[number]) for number in partitions}

    def offsets_at(self, role: str, timestamp_ms: int) -> dict[int, int]:
        """See `bus.Bus`."""
        return asked_again(lambda: self._offsets_at(role, timestamp_ms), self._patience_s)

    def _offsets_at(self, role: str, timestamp_ms: int) -> dict[int, int]:
        topic = self._topic(role)
        with translated(f"looking up a time in {topic}", self._why, f"READ on topic {topic}"):
            partitions = self._partitions(topic)
            ends = self._offsets(topic, partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]
            found = self._offsets(topic, partitions, OffsetSpec.for_timestamp(timestamp_ms))
        return {number: found[number] if found[number] >= 0 else ends[number] for number in partitions}

    def ask_topic_ids(self, roles: Sequence[str]) -> TopicIds:
        """See `bus.Bus`."""
        described = self._ask_topics(roles, "ids")

        def answer() -> dict[str, str]:
            # URL-safe, because it becomes a part of keys that are joined by a slash
            return {
                role: "" if topic is None else str(topic.topic_id).replace("/", "_").replace("+", "-")
                for role, topic in described().items()
            }

        return answer

    def partition_counts(self, roles: Sequence[str]) -> dict[str, int]:
        """See `bus.Bus`."""
        return asked_again(lambda: self._partition_counts(roles), self._patience_s)

    def _partition_counts(self, roles: Sequence[str]) -> dict[str, int]:
        described = self._ask_topics(roles, "partition counts")()
        return {role: 0 if topic is None else len(topic.partitions) for role, topic in described.items()}

    def topic_id(self, role: str) -> str:
        """See `bus.Bus`."""
        return asked_again(lambda: self.ask_topic_ids([role])()[role], self._patience_s)

    def _ask_topics(
        self, roles: Sequence[str], what: str, within_s: float = REQUEST_TIMEOUT_S
    ) -> Callable[[], dict[str, TopicDescription | None]]:
        """Ask what these roles' topics are, at once; what is returned waits for the answer, None for an absent one."""
        topics = {role: self._topic(role) for role in roles}
        doing = f"asking for the {what} of {', '.join(topics.values())}"
        with translated(doing, self._why):
            asked = self._admin.describe_topics(TopicCollection(list(topics.values())), request_timeout=within_s)

        def answer() -> dict[str, TopicDescription | None]:
            found = {}
            for role, topic in topics.items():
                with translated(doing, self._why, f"READ on topic {topic}, or WRITE if it only writes there"):
                    found[role] = _described(asked[topic])
            return found

        return answer

    def _is_there(self, role: str) -> bool:
        """Whether the role's topic exists; taken for granted while nobody can tell, which is not waited for."""
        try:
            return self._ask_topics([role], "ids", _LOOK_S)()[role] is not None
        except BusError:
            return True

    def _max_message_bytes(self, role: str) -> int | None:
        """What the role's topic takes; None if the cluster does not tell, for want of a right or for now."""
        resource = ConfigResource(ResourceType.TOPIC, self._topic(role))
        try:
            asked = self._admin.describe_configs([resource], request_timeout=REQUEST_TIMEOUT_S)[resource]
            return int(asked.result()["max.message.bytes"].value)
        except KafkaException:
            return None

    def _partitions(self, topic: str) -> list[int]:
        """Numbers of the topic's partitions, ascending; none if it does not exist."""
        metadata = self._admin.list_topics(topic, timeout=REQUEST_TIMEOUT_S).topics[topic]
        if metadata.error is None:
            return sorted(metadata.partitions)
        if metadata.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return []
        raise KafkaException(metadata.error)

    def _offsets(
        self,
        topic: str,
        partitions: list[int],
        spec: OffsetSpec,
        isolation: IsolationLevel = IsolationLevel.READ_COMMITTED,
    ) -> dict[int, int]:
        if not partitions:
            return {}
        asked = {TopicPartition(topic, partition): spec for partition in partitions}
        answers = self._admin.list_offsets(asked, isolation_level=isolation, request_timeout=REQUEST_TIMEOUT_S)
        return {at.partition: answer.result().offset for at, answer in answers.items()}

    def _why(self) -> str:
        self._admin.poll(0)  # callbacks run only here
        return self._errors.cause

    @cached_property
    def _admin(self) -> AdminClient:
        return admin_client(self, config.common(self._bootstrap_servers, self._extra) | {"error_cb": self._errors})


def _described(asked: "Future[TopicDescription]") -> TopicDescription | None:
    try:
        return asked.result()
    except KafkaException as error:
        if kafka_error(error).code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return None
        raise
