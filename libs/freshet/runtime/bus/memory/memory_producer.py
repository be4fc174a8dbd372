"""Producers in memory: transactional for the loops, plain for states and artifacts."""

from collections.abc import Callable
from typing import Final

from freshet.runtime.bus.memory.calls import client_call
from freshet.runtime.bus.memory.cluster import MemoryCluster
from freshet.runtime.bus.memory.consumer_group import Membership
from freshet.runtime.bus.memory.coordinator import Session
from freshet.runtime.bus.memory.partition_log import At
from freshet.runtime.bus.protocol import (
    POLL_FIRST,
    SUSPECT_S,
    FatalError,
    RefusedError,
    RetriableError,
    Send,
    SuspectError,
    TooLargeError,
    Transaction,
)
from freshet.runtime.record_caps import RecordCaps

_MOST_BYTES: Final = 2**30  # no limit of the client's own


class MemoryTransactionalProducer:
    """Implements `bus.TransactionalProducer`; at each step the cluster's failpoint may raise.

    A commit is slow if the cluster's clock went on by more than SUSPECT_S in it.
    """

    def __init__(
        self, cluster: MemoryCluster, transactional_id: str, topic: Callable[[str], str], *, reopen: bool
    ) -> None:
        """`topic` gives the physical name of a role's topic."""
        self.cluster = cluster
        self.client = transactional_id
        self._topic = topic
        self._reopen = reopen
        self._opened: Session | None = None
        self._disconnects = 0
        self._suspect = self._asked = False
        self._caps = RecordCaps(self._max_message_bytes, reopen=reopen, most_bytes=_MOST_BYTES)

    @client_call
    def open(self) -> None:
        """See `bus.TransactionalProducer`."""
        self._disconnects = self.cluster.disconnects
        self._opened = self.cluster.transactions.open(self.client)
        self._suspect = self._asked = False

    @client_call
    def commit(self, transaction: Transaction) -> None:
        """See `bus.TransactionalProducer`."""
        self._caps.check(transaction.sends)
        if self._suspect or self._disconnects != self.cluster.disconnects:
            if not self._reopen:
                raise SuspectError(self.client)
            if transaction.offsets and not self._asked:
                self._asked = True
                raise RefusedError(POLL_FIRST)
            self.open()
        began_ms = self.cluster.now_ms
        transactions = self.cluster.transactions
        transactions.begin(self._session, began_ms)
        try:
            self.cluster.reached("begun", self.client)
            for send in transaction.sends:
                self._append(send, transaction)
            self.cluster.reached("produced", self.client)
            if transaction.offsets:
                self._send_offsets(transaction)
            self.cluster.reached("offsets_sent", self.client)
        except RefusedError:
            transactions.end(self._session, committed=False)
            raise
        except RetriableError as error:
            transactions.end(self._session, committed=False)
            raise RefusedError(f"the transaction was aborted: {error}") from error
        transactions.end(self._session, committed=True)
        self._suspect = self.cluster.now_ms - began_ms > SUSPECT_S * 1000
        self.cluster.reached("committed", self.client)

    def cap_bytes(self, role: str) -> int:
        """See `bus.TransactionalProducer`."""
        return self._caps.of(role)

    @client_call
    def close(self) -> None:
        """See `bus.TransactionalProducer`."""
        self._opened = None

    def _append(self, send: Send, transaction: Transaction) -> None:
        topic = self.cluster.topic(self._topic(send.role))
        opened = self.cluster.transactions.current(self._session)
        try:
            topic.append(send, self.cluster.now_ms, opened, self._caps.batch_bytes)
        except TooLargeError:
            self._caps.refused(transaction.sends, {send.role})
            raise

    def _max_message_bytes(self, role: str) -> int | None:
        topic = self.cluster.find_topic(self._topic(role))
        return topic.max_message_bytes if topic is not None and self.cluster.tells_caps else None

    def _send_offsets(self, transaction: Transaction) -> None:
        membership = transaction.membership
        assert isinstance(membership, Membership), "offsets are committed with the membership that read them"
        group = self.cluster.group(membership.group)
        group.check(membership)
        pending = self.cluster.transactions.current(self._session).offsets
        for place, offset in transaction.offsets.items():
            pending[group, At(self._topic(place.role), place.partition)] = offset

    @property
    def _session(self) -> Session:
        assert self._opened is not None, "open() comes first"
        return self._opened


class MemoryProducer:
    """Implements `bus.Producer`."""

    client = "producer"

    def __init__(self, cluster: MemoryCluster, topic: Callable[[str], str]) -> None:
        """`topic` gives the physical name of a role's topic."""
        self.cluster = cluster
        self._topic = topic

    @client_call
    def send(self, send: Send, within_s: float | None = None) -> list[int]:  # noqa: ARG002 - nothing waits
        """See `bus.Producer`."""
        try:
            return self.cluster.topic(self._topic(send.role)).append(send, self.cluster.now_ms)
        except TooLargeError as error:
            raise FatalError(f"writing to {self._topic(send.role)}: {error}") from error

    @client_call
    def close(self) -> None:
        """See `bus.Producer`."""
