"""A member of a consumer group on Kafka."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from freshet.contracts.batch import Batch
from freshet.runtime.bus.kafka.flow import CooperativeFlow, EagerFlow, Flow
from freshet.runtime.bus.kafka.kafka_error import bus_error, translated
from freshet.runtime.bus.kafka.offset_metadata import metadata_of
from freshet.runtime.bus.protocol import (
    Changes,
    Collected,
    Committed,
    ExpiredError,
    FatalError,
    Place,
    RetriableError,
    Span,
)

_DRAIN: Final = 1000  # records per inner consume: the byte limit is looked at this often


class KafkaGroupConsumer:
    """Implements `bus.GroupConsumer`. Rebalance callbacks only note what happened: the owner acts on it later."""

    def __init__(
        self, config: dict[str, Any], topics: Mapping[str, str], spans: Callable[[str], Mapping[int, Span]]
    ) -> None:
        """`topics` maps role to physical name; `spans` are those of a role's partitions."""
        self._spans = spans
        self._topics = dict(topics)
        self._roles = {topic: role for role, topic in topics.items()}
        self._rebalances = 0
        self._owned: set[Place] = set()
        self._revoked: list[Place] = []
        self._assigned: list[Place] = []
        self._errors: list[Message] = []
        self._started: dict[Place, int] = {}  # until it is told that the partition expired
        self._group = config["group.id"]
        self._consumer = Consumer(config)
        eager = config["partition.assignment.strategy"] == "range"
        self._flow: Flow = EagerFlow(self._consumer) if eager else CooperativeFlow(self._consumer)
        self._consumer.subscribe(list(self._roles), on_assign=self._on_assign, on_revoke=self._on_revoke)

    def collect(self, limit: int, limit_bytes: int, timeout_s: float) -> Collected | None:
        """See `bus.GroupConsumer`."""
        if self._errors:
            self._raise(self._errors.pop(0))
        with translated(f"polling as a member of group {self._group}"):
            self._flow.settle()
            first = self._consumer.poll(timeout_s)
            if first is None:
                return None
            # Right here: read earlier it may be void, read later it would carry the generation of a rebalance that
            # gave these very rows to somebody else, and the broker would accept our commit.
            membership = self._consumer.consumer_group_metadata()
            rebalances = self._rebalances
            messages = [first]
            size_bytes = len(first)
            while len(messages) < limit and size_bytes < limit_bytes:
                more = self._consumer.consume(min(_DRAIN, limit - len(messages)), 0)
                messages += more
                size_bytes += sum(map(len, more))
                if len(more) < _DRAIN:
                    break
        self._errors += [message for message in messages if message.error() is not None]
        if self._errors:
            messages = [message for message in messages if message.error() is None]
        interrupted = rebalances != self._rebalances
        return Collected(self._batches(messages), membership, interrupted) if messages or interrupted else None

    def _batches(self, messages: list[Message]) -> tuple[Batch, ...]:
        if len(self._roles) == 1:
            return tuple(Batch(role, messages) for role in self._topics if messages)  # type: ignore[arg-type]
        by_role: dict[str, list[Message]] = {role: [] for role in self._topics}
        for message in messages:
            by_role[self._roles[message.topic()]].append(message)  # type: ignore[index]
        return tuple(Batch(role, rows) for role, rows in by_role.items() if rows)  # type: ignore[arg-type]

    def _raise(self, message: Message) -> None:
        error = message.error()
        assert error is not None
        topic, partition = message.topic(), message.partition()
        if error.code() == KafkaError._MAX_POLL_EXCEEDED:
            return  # the rebalance that follows says all there is to say
        if error.code() == KafkaError._AUTO_OFFSET_RESET and topic is not None and partition is not None:
            self._expired(Place(self._roles[topic], partition), message.offset())
            return
        doing = f"reading {topic}/{partition}" if topic else f"as a member of group {self._group}"
        raise bus_error(error, doing, f"READ on topic {topic}")

    def _expired(self, place: Place, offset: int | None) -> None:
        """Raise ExpiredError once for each start, and never for an offset that lies before it.

        librdkafka hands the error of a fetch on even after the partition was paused or started elsewhere. What is
        really fetched is never before our position.
        """
        if place not in self._started:
            return
        position = self._position(place)
        if offset is not None and offset < position:
            return
        del self._started[place]
        raise ExpiredError(place, position)

    def _position(self, place: Place) -> int:
        """The next offset to be read: after the last record read, or where the partition was started."""
        read = self._consumer.position([self._at(place)])[0].offset
        return max(read, self._started[place])

    def take_changes(self) -> Changes:
        """See `bus.GroupConsumer`."""
        changes = Changes(tuple(self._revoked), tuple(self._assigned))
        self._revoked, self._assigned = [], []
        return changes

    def owned(self) -> frozenset[Place]:
        """See `bus.GroupConsumer`."""
        return frozenset(self._owned)

    def membership(self) -> object:
        """See `bus.GroupConsumer`."""
        return self._consumer.consumer_group_metadata()

    def committed(self, places: Sequence[Place], timeout_s: float) -> dict[Place, Committed | None]:
        """See `bus.GroupConsumer`."""
        with translated(f"reading the committed offsets of group {self._group}"):
            answers = self._consumer.committed([self._at(place) for place in places], timeout_s)
        found: dict[Place, Committed | None] = {}
        for answer in answers:
            if answer.error is not None:
                doing = f"reading the committed offset of {answer.topic}/{answer.partition}"
                raise bus_error(answer.error, doing, f"READ on topic {answer.topic}")
            known = Committed(answer.offset, metadata_of(answer)) if answer.offset >= 0 else None
            found[Place(self._roles[answer.topic], answer.partition)] = known
        return found

    def start(self, place: Place, offset: int) -> None:
        """See `bus.GroupConsumer`."""
        at = self._at(place, offset)
        if place not in self._owned:
            raise FatalError(f"{at.topic}/{at.partition} is not ours: it cannot be started.")
        self._started[place] = offset
        with translated(f"starting {at.topic}/{at.partition} at {offset}"):
            self._flow.start(at)

    def pause(self, place: Place) -> None:
        """See `bus.GroupConsumer`."""
        with translated("pausing"):
            self._flow.pause(self._at(place))

    def span(self, place: Place) -> Span:
        """See `bus.GroupConsumer`."""
        return span_of(self._spans(place.role), place)

    def close(self) -> None:
        """See `bus.GroupConsumer`."""
        self._consumer.close()
        self._owned.clear()

    def _at(self, place: Place, offset: int = 0) -> TopicPartition:
        return TopicPartition(self._topics[place.role], place.partition, offset)

    def _on_assign(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._rebalances += 1
        self._flow.gained(partitions)
        places = [Place(self._roles[at.topic], at.partition) for at in partitions]
        self._owned.update(places)
        self._assigned += places

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._rebalances += 1
        self._flow.lost(partitions)
        for at in partitions:
            place = Place(self._roles[at.topic], at.partition)
            self._owned.discard(place)
            if place in self._assigned:
                self._assigned.remove(place)
            else:
                self._revoked.append(place)


def span_of(spans: Mapping[int, Span], place: Place) -> Span:
    """What the place holds. Raises RetriableError if its topic has no such partition now."""
    if place.partition not in spans:
        raise RetriableError(f"{place.role}/{place.partition} is not in the topic as it is now.")
    return spans[place.partition]
