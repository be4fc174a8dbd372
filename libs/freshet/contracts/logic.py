"""All that a core and the shell say to each other.

A logic is deterministic and without IO: the same batches, messages and times give the same effects. It may own state.
The shell around it reads topics, hands columns over, and turns the effects into one transaction.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from freshet.contracts.arrays import Ints
from freshet.contracts.batch import Batch, Headers
from freshet.contracts.errors import FreshetError
from freshet.contracts.messages import Message
from freshet.contracts.worker import NOTHING_TO_REPORT, WorkerReport

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True, eq=False)
class Publish:
    """Write these records to the data topic `role`, in order.

    `partitions=None` lets the key decide (murmur2, as Java does); a column fixes it. From `on_batch` they ride in the
    batch's transaction.
    """

    role: str
    keys: Sequence[bytes | None]
    values: Sequence[bytes]
    partitions: Sequence[int] | None = None
    headers: Sequence[Headers] | None = None
    """Those of each record; None, which costs nothing, for none."""


@dataclass(frozen=True, slots=True)
class Announce:
    """Write one control message, or with None the tombstone of its key. From `on_batch` it rides in the batch's
    transaction.
    """

    role: str
    key: str
    message: Message | None


@dataclass(frozen=True, slots=True, eq=False)
class DeadLetter:
    """Set these rows of the batch aside, bytes untouched, each with a sentence that says why."""

    rows: Ints
    reason: str
    details: Sequence[str]
    schema_id: int | None = None
    model_version: str = ""
    """The model version that had no answer to these rows; empty if no model was at fault."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Commit this text as the offset metadata of the partition (at most 4,096 bytes)."""

    role: str
    partition: int
    metadata: str


@dataclass(frozen=True, slots=True)
class Hold:
    """The rows of this partition in this batch count as unread. It is read again once the logic's `waits` is empty."""

    role: str
    partition: int
    reason: str


@dataclass(frozen=True, slots=True)
class Abort:
    """Throw the whole batch away and read it again from the committed offsets."""

    reason: str


class Job(Generic[ResultT]):
    """Work outside the loop. The class of a job names what it results in, as in `class LoadModel(Job[Loaded])`."""

    __slots__ = ()

    limit_s: ClassVar[float] = 300.0
    """After so long it is told to stop, and no longer waited for."""

    @property
    def queue(self) -> str:
        """Jobs of one queue run one after the other, and a newer one replaces one that waits. Empty: in none."""
        return ""


class JobError(FreshetError):
    """A job came to no end of its own: `late`, `cancelled`, or `replaced` by a newer one of its queue."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Start:
    """Run this job outside the loop; its outcome comes back through `on_job`."""

    job: Job[Any]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Nobody wants the result of this queue's jobs any more. Their outcomes are a JobError."""

    queue: str


@dataclass(frozen=True, slots=True)
class Outcome(Generic[ResultT]):
    """What became of a job: exactly one of result and error.

    Match it: `case Outcome(LoadModel() as job, Loaded() as loaded)`, `case Outcome(LoadModel() as job, error=error)`.
    """

    job: Job[ResultT]
    result: ResultT | None = None
    error: FreshetError | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """Read these records of a partition of a topic that the logic `looks_up`, and go on with them.

    `offsets` ascend, each once. `then` is given those records that are still there, in order, and says what else is to
    be done about the batch.
    """

    role: str
    partition: int
    offsets: Ints
    then: "Callable[[Batch], Iterable[Effect]]"


Effect = Publish | Announce | DeadLetter | Mark | Hold | Abort | Start | Cancel | Lookup


@dataclass(frozen=True, slots=True)
class Fact:
    """One control record as a logic folds it; `message=None` is a tombstone."""

    role: str
    key: str
    message: Message | None
    timestamp_ms: int = 0
    offset: int = 0


class LeaveError(FreshetError):
    """This worker had better leave its partitions to another one for a while, and try again later."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How a pipeline wants its batches; the loop follows it from the next batch on."""

    rows: int = 5000
    """Most rows that are answered and committed together."""
    commit_interval_ms: int = 40
    """Least distance of transactions under light load, from begin to begin."""


class Logic:
    """The core of a data-plane service. Override what you need; the defaults do nothing.

    Order of calls: facts are folded up to the end seen at start before the first `on_assign`; `on_assign` comes before
    the first row of a partition **and again after every rewind**, with the committed metadata, and replaces whatever
    the logic remembered of that partition.
    """

    reads: ClassVar[tuple[str, ...]] = ()
    """Roles that `on_batch` consumes, as a member of the service's group."""
    follows: ClassVar[tuple[str, ...]] = ()
    """Control roles that `fold` sees, from the beginning of the topic."""
    looks_up: ClassVar[tuple[str, ...]] = ()
    """Roles of which it asks for single records by offset, with `Lookup`."""
    together: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Inputs whose partitions of one number move together: never one without the others."""

    origin: ClassVar[str] = ""
    """Metadata to commit with the start position of a partition that was never answered."""

    @property
    def limits(self) -> BatchLimits:
        """What bounds a batch now, as the facts folded so far have it."""
        return BatchLimits()

    def fold(self, fact: Fact) -> None:
        """Take in one control record. Never blocks; the same fact twice changes nothing."""

    def on_topic(self, role: str, topic_id: str) -> None:
        """The broker's id of the topic that this role's records are read from: told once, before `on_assign`.

        A topic that is made anew has another; the process ends then, and its successor is told the new one.
        """

    def on_assign(self, role: str, partition: int, metadata: str) -> None:
        """This partition is ours, positioned at its committed offset, with that offset's metadata."""

    def waits(self, role: str, partition: int) -> str:  # noqa: ARG002
        """Why this partition of ours may not be read now; empty when it may.

        Asked when it is assigned and after every `on_tick`: only facts, jobs and time may change the answer, and
        `on_batch` where it says so with a `Hold`.
        """
        return ""

    def on_revoke(self, role: str, partition: int) -> None:
        """This partition is no longer ours."""

    def on_idle(self, role: str, partition: int) -> None:
        """Of inputs that move together: this partition was just read to its end, and there was nothing more in it.

        What is appended to it from now on is younger than what was read of the others before.
        """

    def on_batch(self, batch: Batch) -> Iterable[Effect]:
        """Answer every row of the batch, or hold its partition, or abort."""
        raise NotImplementedError

    def on_tick(self, now_ms: int) -> Iterable[Effect]:  # noqa: ARG002
        """Time passed: `now_ms` counts from some moment in the past, for intervals and waits; it is no date.

        Data-plane outputs may not depend on it.
        """
        return ()

    def on_job(self, outcome: Outcome[Any]) -> None:
        """A job that this logic started has ended."""

    def report(self) -> WorkerReport:
        """How this worker's own part is doing, for whoever follows `freshet.workers`. Asked after every `on_tick`."""
        return NOTHING_TO_REPORT

    def measured(self) -> Mapping[str, float]:
        """Gauges of this worker's own part, by their names in the catalogue of metrics. Asked every few seconds."""
        return {}

    def unready(self) -> str | None:
        """Why this logic cannot serve yet, or None when it can."""
        return None


class Decider:
    """The core of a control-plane service with a single owner (registry, retraining).

    The shell fences, folds every followed topic to the end, then asks `decide` of each pipeline again and again. State
    is a fold of topics alone: what one call of `decide` announces is committed in one transaction of its own and folded
    only afterwards, so a decision lost in a crash is simply made again.

    One pipeline's trouble stays its own. If `decide` raises, or if what it announced cannot be written, that pipeline
    is asked again only after a pause, which grows to a minute; all others go on.
    """

    follows: ClassVar[tuple[str, ...]] = ()
    """Control roles written by others."""
    owns: ClassVar[tuple[str, ...]] = ()
    """Control roles that only this service writes; folded once at start, then kept current by its own commits."""

    def fold(self, fact: Fact) -> None:
        """Take in one control record. The same fact twice changes nothing."""
        raise NotImplementedError

    def on_unreadable(self, role: str, key: str) -> None:
        """There is a record under this key that cannot be read."""

    def on_reread(self, fact: Fact) -> None:
        """A record on an own topic, after the start: one that was folded when it was committed, or a stranger's."""

    def pipelines(self) -> Iterable[str]:
        """All pipelines that there may be something to decide about, in the order in which `decide` is asked."""
        raise NotImplementedError

    def decide(self, pipeline: str, now_ms: int) -> Iterable[Announce | Start | Cancel]:
        """What follows for this pipeline from the state now, whatever else was decided; nothing when all is settled."""
        raise NotImplementedError

    def warnings(self) -> Sequence[str]:
        """What waits for a person, a sentence each, begun by `about` of `freshet.contracts.worker`: told everywhere."""
        return ()

    def on_too_large(self, pipeline: str, announced: Sequence[Announce], why: str) -> None:
        """These announcements are larger than their topics take, and none of them was written.

        The same again would fail again: decide something shorter about the same subject.
        """

    def on_job(self, outcome: Outcome[Any]) -> None:
        """A job that this decider started has ended."""
