"""Producers in memory: transactional for the loops, plain for states and artifacts."""

from collections.abc import Callable

from freshet.runtime.bus import FatalError, RefusedError, RetriableError, Send, TooLargeError, Transaction
from freshet.runtime.memory.cluster import MemoryCluster
from freshet.runtime.memory.group import Membership
from freshet.runtime.memory.log import At
from freshet.runtime.memory.transaction import Session


class MemoryTransactionalProducer:
    """Implements `bus.TransactionalProducer`; at each step the cluster's failpoint may strike."""

    def __init__(self, cluster: MemoryCluster, transactional_id: str, topic: Callable[[str], str]) -> None:
        """`topic` gives the physical name of a role's topic."""
        self._cluster = cluster
        self._transactional_id = transactional_id
        self._topic = topic
        self._opened: Session | None = None

    def open(self) -> None:
        """See `bus.TransactionalProducer`."""
        self._opened = self._cluster.transactions.open(self._transactional_id)

    def commit(self, transaction: Transaction) -> None:
        """See `bus.TransactionalProducer`."""
        transactions = self._cluster.transactions
        transactions.begin(self._session, self._cluster.now_ms)
        try:
            self._cluster.reached("begun", self._transactional_id)
            for send in transaction.sends:
                topic = self._cluster.topic(self._topic(send.role))
                topic.append(send, self._cluster.now_ms, transactions.current(self._session))
            self._cluster.reached("produced", self._transactional_id)
            if transaction.offsets:
                self._send_offsets(transaction)
            self._cluster.reached("offsets_sent", self._transactional_id)
        except RefusedError:
            transactions.end(self._session, committed=False)
            raise
        except RetriableError as error:
            transactions.end(self._session, committed=False)
            raise RefusedError(f"the transaction was aborted: {error}") from error
        transactions.end(self._session, committed=True)
        self._cluster.reached("committed", self._transactional_id)

    def close(self) -> None:
        """See `bus.TransactionalProducer`."""
        self._opened = None

    def _send_offsets(self, transaction: Transaction) -> None:
        membership = transaction.membership
        assert isinstance(membership, Membership), "offsets are committed with the membership that read them"
        group = self._cluster.group(membership.group)
        group.check(membership)
        pending = self._cluster.transactions.current(self._session).offsets
        for place, offset in transaction.offsets.items():
            pending[group, At(self._topic(place.role), place.partition)] = offset

    @property
    def _session(self) -> Session:
        assert self._opened is not None, "open() comes first"
        return self._opened


class MemoryProducer:
    """Implements `bus.Producer`."""

    def __init__(self, cluster: MemoryCluster, topic: Callable[[str], str]) -> None:
        """`topic` gives the physical name of a role's topic."""
        self._cluster = cluster
        self._topic = topic

    def send(self, send: Send) -> list[int]:
        """See `bus.Producer`."""
        try:
            return self._cluster.topic(self._topic(send.role)).append(send, self._cluster.now_ms)
        except TooLargeError as error:
            raise FatalError(f"writing to {self._topic(send.role)}: {error}") from error

    def close(self) -> None:
        """See `bus.Producer`."""
