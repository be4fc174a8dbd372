"""The broker's side of the bus in memory, and the hooks with which a test makes things go wrong."""

from collections.abc import Callable, Sequence
from typing import Final

from freshet.contracts import topic_id
from freshet.contracts.topic_table import TopicNames, stanza, topic_table
from freshet.runtime.bus.memory.consumer_group import Group
from freshet.runtime.bus.memory.coordinator import Step, TransactionCoordinator
from freshet.runtime.bus.memory.memory_topic import Topic
from freshet.runtime.bus.memory.partition_log import At, PartitionLog
from freshet.runtime.bus.protocol import RetriableError
from freshet.runtime.record_caps import KAFKAS_CAP_BYTES

Failpoint = Callable[[Step, str], None]
Before = Callable[[str, str], None]
Stale = Callable[[str, PartitionLog], int]

_EPOCH_START_MS: Final = 1_700_000_000_000  # some moment that looks like one


class MemoryCluster:
    """Topics, groups and transactions of one simulated Kafka cluster. Use it from one thread, or runs differ.

    `failpoint(step, transactional_id)` is called at each step of every commit. It may raise SimulatedCrash, which
    leaves the transaction open as a SIGKILL would, or, before `committed`, a RefusedError, which aborts it. It may
    also do something else in between, such as opening a successor.

    `before(client, operation)` is called before each call of a client: what happens to the cluster between two calls of
    one process happens there. It may raise what the call itself may, or SimulatedCrash. `client` is a group's member, a
    transactional id, or "producer", "reader", "bus".

    `stale(client, log)` gives the offset up to which a client sees a partition's records now. A real fetch, too, may
    return less than there is, and may lag in one partition more than in another.
    """

    def __init__(self, now_ms: int = _EPOCH_START_MS, transaction_timeout_ms: int = 15_000) -> None:
        self.now_ms = now_ms
        self.failpoint: Failpoint | None = None
        self.before: Before | None = None
        self.stale: Stale | None = None
        self.disconnects = 0
        self.tells_caps = True
        """Whether clients may ask what a topic takes; else they only see what it refuses."""
        self.transactions = TransactionCoordinator(transaction_timeout_ms)
        self._topics: dict[str, Topic] = {}
        self._topics_created = 0
        self._groups: dict[str, Group] = {}
        self._members_joined = 0
        self._interruptions: dict[str, Callable[[], object]] = {}

    # Time and topics

    def advance(self, elapsed_ms: int) -> None:
        """Let time pass; transactions that are open too long are aborted."""
        self.now_ms += elapsed_ms
        self.transactions.expire(self.now_ms)

    def disconnect(self) -> None:
        """All connections break, as when the broker restarts: clients that are open now have noticed."""
        self.disconnects += 1

    def ensure(self, names: TopicNames, partitions: int, roles: Sequence[str] | None = None) -> None:
        """Create what is missing of these roles' topics (by default all), as `schemas/topics.yaml` describes them."""
        for role in topic_table() if roles is None else roles:
            topic = stanza(role)
            if names.topic(role) not in self._topics:
                self.create_topic(
                    names.topic(role),
                    partitions if topic.partitions == "pipeline" else topic.partitions,
                    topic.max_message_bytes or KAFKAS_CAP_BYTES,
                )

    def create_topic(self, name: str, partitions: int, max_message_bytes: int = KAFKAS_CAP_BYTES) -> None:
        """A new topic with a new id; subscribed groups rebalance."""
        assert name not in self._topics, f"topic {name} exists"
        self._topics[name] = self._made(name, partitions, max_message_bytes)
        self._rebalance_readers(name)

    def delete_topic(self, name: str) -> None:
        """Drop the topic with its records and everybody's committed offsets; subscribed groups rebalance."""
        del self._topics[name]
        self.transactions.forget(name)
        for group in self._groups.values():
            group.forget(name)
        self._rebalance_readers(name)

    def remake_topic(self, name: str) -> None:
        """Delete the topic and make it anew before any client notices: all go on in it at their old positions.

        Committed offsets are gone, as with `delete_topic`. Real clients behave like this, too (librdkafka 2.16).
        """
        old = self._topics[name]
        self._topics[name] = self._made(name, len(old.logs), old.max_message_bytes)
        self.transactions.forget(name)
        for group in self._groups.values():
            group.forget_offsets(name)

    def grow_topic(self, name: str) -> None:
        """One partition more, as by Kafka's own tool; subscribed groups rebalance."""
        self._topics[name].grow()
        self._rebalance_readers(name)

    def truncate(self, topic: str, partition: int, low: int) -> None:
        """Forget a partition's records below an offset, as retention does."""
        self.topic(topic).log(partition).truncate(low)

    def compact(self, topic: str) -> None:
        """Run the log cleaner over the topic now."""
        for log in self.topic(topic).logs:
            log.compact()

    # Members

    def expire(self, member: str) -> None:
        """End the member's session, as when its process was killed or hangs. In its next poll it is no member."""
        self._group_of(member).leave(member)

    def rebalance_during_next_collect(self, member: str, cause: Callable[[], object] | None = None) -> None:
        """Interrupt the member's next batch: the group rebalances after its first record, and tells the member at once.

        The cause may be anything that makes a group rebalance, such as another member joining; by default the
        group just does.
        """
        self._interruptions[member] = cause or self._group_of(member).rebalance

    # What the clients call

    def find_topic(self, name: str) -> Topic | None:
        """The topic, None if there is none."""
        return self._topics.get(name)

    def topic(self, name: str) -> Topic:
        """The topic; raises RetriableError while there is none."""
        if name not in self._topics:
            raise RetriableError(f"topic {name} does not exist: create it with `freshet topics apply`.")
        return self._topics[name]

    def log(self, at: At) -> PartitionLog:
        """The partition's log; raises RetriableError while there is none."""
        return self.topic(at.topic).log(at.partition)

    def group(self, name: str) -> Group:
        """The group of that name; there is always one."""
        return self._groups.setdefault(name, Group(name, self._count_partitions))

    def new_member_id(self, instance: str | None) -> str:
        """A member id that was never used; ids order by age."""
        self._members_joined += 1
        return f"{instance or 'member'}-{self._members_joined:04}"

    def take_interruption(self, member: str) -> Callable[[], object] | None:
        """Return what is to happen inside this member's next collect, and forget it."""
        return self._interruptions.pop(member, None)

    def reached(self, step: Step, transactional_id: str) -> None:
        """A commit has come to this step."""
        if self.failpoint is not None:
            self.failpoint(step, transactional_id)

    def horizon(self, log: PartitionLog, client: str) -> int:
        """The offset before which this client sees the partition's records now."""
        return log.last_stable_offset if self.stale is None else self.stale(client, log)

    def _made(self, name: str, partitions: int, max_message_bytes: int) -> Topic:
        self._topics_created += 1
        made = topic_id.to_text(self._topics_created.to_bytes(topic_id.SIZE))
        return Topic(name, made, partitions, max_message_bytes)

    def _group_of(self, member: str) -> Group:
        for group in self._groups.values():
            if member in group:
                return group
        raise LookupError(f"no group has a member {member}: did it leave, or expire before?")

    def _count_partitions(self, topic: str) -> int:
        found = self._topics.get(topic)
        return len(found.logs) if found is not None else 0

    def _rebalance_readers(self, topic: str) -> None:
        for group in self._groups.values():
            if group.reads(topic):
                group.rebalance()
