"""What the loops ask of a message bus. `kafka` is the real one, `memory` a deterministic one; one suite tests both.

Partitions are addressed by (role, partition); only the bus knows physical topic names.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, Protocol

from freshet.contracts.batch import Batch, Headers, Record
from freshet.contracts.errors import FreshetError

Assignor = Literal["cooperative-sticky", "range"]
"""How a group divides partitions: moving few and pausing no others, or all topics alike and pausing everybody."""

SUSPECT_S: Final = 2.0
"""A transactional client whose commit took longer is suspect: a repeated EndTxn request may still be under way."""

SESSION_TIMEOUT_S: Final = 30
"""How long a group keeps a member that is silent, such as a fixed slot that was stopped."""

POLL_FIRST: Final = "the connection was lost or slow: whether this member was replaced meanwhile shows the next poll."
"""Why a suspect client's first commit with offsets is refused, before anything is begun."""


class Place(NamedTuple):
    """A partition of a role's topic."""

    role: str
    partition: int


class Committed(NamedTuple):
    """A group's committed offset: the next one to read, with its metadata ('' if none was committed)."""

    offset: int
    metadata: str = ""


class Span(NamedTuple):
    """What a partition holds now: a read_committed reader sees low ≤ offset < end, and `high` is where the log ends."""

    low: int
    end: int
    high: int

    @property
    def open(self) -> bool:
        """True while a transaction is open here, which hides everything from its first record on."""
        return self.end < self.high


@dataclass(frozen=True, slots=True)
class Changes:
    """The net effect of the rebalances since they were last taken: partitions lost, then partitions gained."""

    revoked: tuple[Place, ...] = ()
    assigned: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class Collected:
    """One poll's worth of records, at most one batch a role.

    `membership` is the group metadata read right after the poll that opened the batch: with it the broker refuses a
    commit that a rebalance has overtaken. `interrupted` says that a rebalance callback ran since: the whole batch must
    be dropped.
    """

    batches: tuple[Batch, ...]
    membership: object
    interrupted: bool


@dataclass(frozen=True, slots=True, eq=False)
class Send:
    """Records for one topic as columns. `partitions=None` lets the key decide (murmur2)."""

    role: str
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    partitions: Sequence[int] | None = None
    headers: Sequence[Headers] | None = None


@dataclass(frozen=True, slots=True)
class Transaction:
    """Everything that becomes visible together: records, and the offsets they answer."""

    sends: Sequence[Send] = ()
    offsets: Mapping[Place, Committed] = field(default_factory=dict)
    membership: object = None


class BusError(FreshetError):
    """Something the bus could not do."""


class RetriableError(BusError):
    """The broker is away or busy, and nothing was done. The same call may succeed later."""


class TopicGoneError(RetriableError):
    """The topic to write to does not exist, or not any more. Nothing can be written until somebody creates it."""


class RefusedError(BusError):
    """The transaction was aborted, wholly: rewind to the committed offsets and read again."""


class TooLargeError(RefusedError):
    """A record, or a batch of them, is larger than its topic takes; nothing was written. Smaller batches may pass."""


class FatalError(BusError):
    """This client can never go on (fenced, lacks rights, broken invariant): the process must exit."""


class FencedError(FatalError):
    """Another process has taken over this one's transactional id: nothing more of this one is ever committed."""


class RightsError(FatalError):
    """The cluster does not allow this client what it needs: somebody must grant it, or change the settings."""


class SuspectError(FatalError):
    """A suspect client would have to take its transactional id back to commit, and may not."""

    def __init__(self, transactional_id: str) -> None:
        super().__init__(
            f"{transactional_id} may not commit any more: a commit before was slow, or its connection was lost, and "
            "meanwhile another process may have taken over. Nothing was written; start anew: fence, fold, decide."
        )


class ExpiredError(BusError):
    """A partition's position is outside what the topic holds. It delivers nothing until it is started anew."""

    def __init__(self, place: Place, position: int) -> None:
        super().__init__(f"{place.role}/{place.partition}: offset {position} is no longer (or not yet) in the topic.")
        self.place = place
        self.position = position


class GroupConsumer(Protocol):
    """A member of a consumer group. New partitions arrive paused: `start` sets them flowing."""

    def collect(self, limit: int, limit_bytes: int, timeout_s: float) -> Collected | None:
        """The next batch: what has already arrived, at most limit records and about limit_bytes.

        None when nothing came in time. Raises ExpiredError, FatalError, RetriableError.
        """

    def take_changes(self) -> Changes:
        """Rebalances since the last call. Non-blocking."""

    def owned(self) -> frozenset[Place]:
        """Partitions that are ours now, paused or not."""

    def membership(self) -> object:
        """Group metadata as of now, for a transaction that carries offsets but no batch."""

    def committed(self, places: Sequence[Place], timeout_s: float) -> dict[Place, Committed | None]:
        """Committed offsets; None where the group has none. RetriableError while a transaction on them is open."""

    def start(self, place: Place, offset: int) -> None:
        """Deliver this owned partition from that offset on."""

    def pause(self, place: Place) -> None:
        """Deliver nothing more of this partition until `start`."""

    def span(self, place: Place) -> Span:
        """Low, end and high offset of the partition now."""

    def close(self) -> None:
        """Leave the group (a fixed slot keeps its place) and free everything. Bounded in time."""


class TransactionalProducer(Protocol):
    """Commits transactions under one transactional id; a second one with the same id fences the first.

    After a slow or retried commit, or a lost connection, a client is suspect. With `reopen` the next commit takes the
    id anew first, which may fence a successor: right only where the group's membership guards the batch. So the first
    commit with offsets is refused, and the next one re-opens: in between the caller polls, and finds out there whether
    it was replaced. Without `reopen` that commit raises FatalError: whoever decides from what it has read must fence
    and read again before it decides.
    """

    def open(self) -> None:
        """Fence predecessors, and finish or abort what they left open. Blocks; raises FatalError or RetriableError."""

    def commit(self, transaction: Transaction) -> None:
        """Make all of it visible, or nothing. Raises RefusedError (aborted) or FatalError.

        RetriableError if the id could not be taken anew: nothing was begun, and the caller's batch is not answered.
        """

    def cap_bytes(self, role: str) -> int:
        """The largest record that the role's topic takes, as far as is known: sizes are those of `record_size`."""

    def close(self) -> None:
        """Free everything without waiting."""


class Producer(Protocol):
    """Writes single records idempotently, outside transactions: states and artifacts whose repeat is harmless."""

    def send(self, send: Send, within_s: float | None = None) -> list[int]:
        """Write, and wait for the acknowledgement: for minutes, unless `within_s` is given. The offsets, in order.

        Raises FatalError or RetriableError.
        """

    def close(self) -> None:
        """Free everything."""


class LogReader(Protocol):
    """Reads whole topics without a group, read_committed, from the beginning or from given offsets."""

    def read(self, limit: int, timeout_s: float) -> list[Batch]:
        """The next records, at most one batch a role; [] when nothing came in time."""

    def caught_up(self) -> bool:
        """True once everything up to the ends seen when the reader was made (or `mark_ends` called) was returned."""

    def mark_ends(self) -> None:
        """Ask for the ends again: from now on `caught_up` means up to these. Blocks for one request."""

    def close(self) -> None:
        """Free everything."""


class RangeReader(Protocol):
    """Reads ranges of partitions, again and again with one client, read_committed."""

    def read(self, place: Place, first: int, end: int) -> tuple[Sequence[Record], int]:
        """Records with first ≤ offset < end, and the offset up to which these are all. Or RetriableError."""

    def close(self) -> None:
        """Free everything."""


TopicIds = Callable[[], Mapping[str, str]]  # waits for the ids of topics by role


class Bus(Protocol):
    """Makes clients that see one namespace and, for data topics, one pipeline."""

    def of_pipeline(self, pipeline: str) -> "Bus":
        """A bus like this one that sees the data topics of that pipeline."""

    def consumer(
        self, service: str, roles: Sequence[str], instance: str | None, assignor: Assignor = "cooperative-sticky"
    ) -> GroupConsumer:
        """A member of the service's group: with an instance, a fixed slot (static membership); else an elastic one.

        With `range`, a rebalance takes everything from everybody and gives it anew at once, and partition n of all
        topics of equal size lies with one member. All members of a group must have the same assignor.
        """

    def transactional_producer(self, service: str, slot: str, *, reopen: bool = True) -> TransactionalProducer:
        """A transactional producer for that slot; call `open` before the first commit.

        `reopen=False` where the content of a commit follows from what was read since `open` (deciders, publishing).
        """

    def producer(self) -> Producer:
        """An idempotent producer without transactions."""

    def reader(self, roles: Sequence[str], starts: Mapping[Place, int] | None = None) -> LogReader:
        """Reads all partitions of these roles, or only those in `starts`, from there on."""

    def ranges(self, roles: Sequence[str]) -> RangeReader:
        """Reads ranges of partitions of these roles."""

    def spans(self, role: str) -> dict[int, Span]:
        """What every partition holds. Raises RetriableError; an absent topic gives {}."""

    def offsets_at(self, role: str, timestamp_ms: int) -> dict[int, int]:
        """Every partition's first offset with a broker timestamp not before that time; its end if there is none.

        Raises RetriableError; an absent topic gives {}.
        """

    def ask_topic_ids(self, roles: Sequence[str]) -> TopicIds:
        """Ask for the ids of these roles' topics at once; what is returned waits for the answer.

        Both may raise RetriableError; an absent topic has the id ''.
        """

    def partition_counts(self, roles: Sequence[str]) -> Mapping[str, int]:
        """How many partitions each of these roles' topics has now, 0 if absent; one request. Or RetriableError."""

    def topic_id(self, role: str) -> str:
        """The broker's unique id of the topic, in text: a topic made anew has another. '' if there is no such topic.

        Raises RetriableError.
        """
