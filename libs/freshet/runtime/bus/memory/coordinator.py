"""The transaction coordinator: who may write under a transactional id, and what is still open (KIP-98)."""

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, get_args

from freshet.runtime.bus.memory.consumer_group import Group
from freshet.runtime.bus.memory.partition_log import At, PartitionLog
from freshet.runtime.bus.protocol import Committed, FatalError, FencedError

Step = Literal["begun", "produced", "offsets_sent", "committed"]
"""Where a commit can be interrupted: the same names as `runtime.failpoints` has for a real process."""

STEPS: Final[tuple[Step, ...]] = get_args(Step)


class SimulatedCrash(BaseException):
    """The process died here, as by SIGKILL. Only a test may catch it, and must then drop the process's clients."""


class Session(NamedTuple):
    """The right to write under a transactional id, until a newer epoch is given out."""

    transactional_id: str
    epoch: int


@dataclass(slots=True, eq=False)
class OpenTransaction:
    """What a transaction has touched so far."""

    began_ms: int
    logs: set[PartitionLog] = field(default_factory=set)
    offsets: dict[tuple[Group, At], Committed] = field(default_factory=dict)


class TransactionCoordinator:
    """Hands out epochs and ends transactions; a transaction is open from its begin to its marker."""

    def __init__(self, timeout_ms: int) -> None:
        self._timeout_ms = timeout_ms
        self._epochs: dict[str, int] = {}
        self._open: dict[str, OpenTransaction] = {}

    def open(self, transactional_id: str) -> Session:
        """Fence whoever writes under this id, and abort what it left open."""
        self._epochs[transactional_id] = self._epochs.get(transactional_id, -1) + 1
        self._abort_open(transactional_id)
        return Session(transactional_id, self._epochs[transactional_id])

    def begin(self, session: Session, now_ms: int) -> None:
        """Open a transaction; raises FatalError if fenced, or if one is open already."""
        self._check(session)
        if session.transactional_id in self._open:
            raise FatalError(
                f"{session.transactional_id} has an open transaction: this producer has crashed and cannot go on."
            )
        self._open[session.transactional_id] = OpenTransaction(now_ms)

    def current(self, session: Session) -> OpenTransaction:
        """The open transaction; raises FatalError if a successor or the timeout has ended it."""
        self._check(session)
        return self._open[session.transactional_id]

    def end(self, session: Session, *, committed: bool) -> None:
        """Write the markers and, when committed, the offsets. Raises FatalError if fenced."""
        transaction = self.current(session)
        del self._open[session.transactional_id]
        _finish(transaction, committed=committed)

    def is_pending(self, group: Group, at: At) -> bool:
        """Whether an open transaction carries an offset of this group for this partition."""
        return any((group, at) in transaction.offsets for transaction in self._open.values())

    def forget(self, topic: str) -> None:
        """The topic is gone: nothing of it is left to commit or abort."""
        for transaction in self._open.values():
            transaction.logs = {log for log in transaction.logs if log.at.topic != topic}
            transaction.offsets = {key: kept for key, kept in transaction.offsets.items() if key[1].topic != topic}

    def expire(self, now_ms: int) -> None:
        """Abort what has been open longer than the timeout, and fence its producers."""
        overdue = [name for name, open_ in self._open.items() if now_ms - open_.began_ms >= self._timeout_ms]
        for transactional_id in overdue:
            self._epochs[transactional_id] += 1
            self._abort_open(transactional_id)

    def _check(self, session: Session) -> None:
        if self._epochs[session.transactional_id] != session.epoch:
            raise FencedError(
                f"the producer {session.transactional_id} was fenced: a newer one has its transactional id, or its "
                "transaction timed out. The process must exit and may start anew."
            )

    def _abort_open(self, transactional_id: str) -> None:
        transaction = self._open.pop(transactional_id, None)
        if transaction is not None:
            _finish(transaction, committed=False)


def _finish(transaction: OpenTransaction, *, committed: bool) -> None:
    for log in transaction.logs:
        log.end(transaction, committed=committed)
    if committed:
        for (group, at), offset in transaction.offsets.items():
            group.commit(at, offset)
