"""What lag is: pure arithmetic on what Kafka says of a partition, of a group's offsets and of the records unread.

Ends of partitions count markers of transactions, which nobody reads, and what open transactions hide. So lag is counted
against the next record that a reader can get: there is one, and it has waited since the broker took it in; or there is
none, and the lag is 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from freshet.contracts.position import unstamped
from freshet.contracts.topic_table import TopicNames
from freshet.runtime.bus.kafka.transactions import HangingTransaction
from freshet.runtime.bus.protocol import Committed, Span


class Hop(NamedTuple):
    """A service, and a topic that it reads as a group."""

    service: str
    role: str


ANSWERING: Final = (Hop("ingestion", "events"), Hop("ingestion", "feedback"), Hop("inference", "features"))
"""Whoever runs Freshet runs these; nobody needs drift to be answered."""
JUDGING: Final = (
    Hop("drift-join", "predictions"),
    Hop("drift-join", "labels"),
    Hop("drift-evaluate", "outcomes"),
    Hop("drift-detect", "outcomes"),
)
HOPS: Final = (*ANSWERING, *JUDGING)
"""Every hop of Freshet's own services, in the order in which a record takes them."""

End = Literal["prediction", "outcome"]
"""Where a path ends: an event in a prediction; an event and its label in an outcome, a row of the labelled log."""

PATHS: Final[dict[End, frozenset[Hop]]] = {
    "prediction": frozenset({Hop("ingestion", "events"), Hop("inference", "features")}),
    "outcome": frozenset((*ANSWERING, Hop("drift-join", "predictions"), Hop("drift-join", "labels"))),
}


class Unread(NamedTuple):
    """What a reader finds of a partition behind a group's position."""

    records: int
    exact: bool
    """False: there are so many that only the first were read, and `records` counts offsets, markers among them."""
    first_offset: int | None = None
    first_ms: int | None = None
    """The append time of the next readable record, in milliseconds since 1970."""
    origin_ms: int | None = None
    """The append time of the event or label that it was made of, where that is known."""


NOTHING: Final = Unread(0, True)


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """How far one group is behind in one partition."""

    service: str
    role: str
    group: str
    topic: str
    partition: int
    position: int | None
    """The next offset that the group will read; None if it has never committed one here."""
    records: int
    """Records that a reader can get and the group has not taken. Offsets, markers among them, where not `exact`."""
    exact: bool
    seconds: float
    """How long the next of them has waited since the broker took it in; 0.0 if there is none."""
    origin_seconds: float
    """The same since the broker took in the event or label that it was made of: what a customer has waited."""
    next_offset: int | None
    hidden: int
    """Offsets behind the first record of an open transaction: nobody can read them before it ends."""


@dataclass(frozen=True, slots=True)
class HopLag:
    """How far one group is behind in one topic."""

    service: str
    role: str
    records: int
    exact: bool
    seconds: float
    """The longest wait in any partition."""
    behind: int
    """Partitions with something unread."""
    partitions: int
    hidden: int
    started: bool
    """False: the group has never committed anything on this topic, so nobody has ever read it."""
    needed: bool
    """Without this one events stay without an answer, or labels unread."""


@dataclass(frozen=True, slots=True)
class PathLag:
    """How far a whole path is behind, from the broker's taking in an event to its `end`."""

    end: End
    records: int
    """Records that wait anywhere on the path; each is one event, label or prediction still under way."""
    seconds: float
    """Since the broker took in the oldest event or label that is still under way; 0.0 if none is."""
    waits_at: Hop | None
    """Where that one waits."""


@dataclass(frozen=True, slots=True)
class Lag:
    """The lag of a pipeline at one moment."""

    pipeline: str
    at_ms: int
    partitions: tuple[PartitionLag, ...]
    hops: tuple[HopLag, ...]
    paths: tuple[PathLag, ...]
    stuck: tuple[HangingTransaction, ...]
    """Transactions that have been open for longer than any of ours may: what lies behind them is not counted as lag."""


def start_of(committed: Committed | None, span: Span, topic_id: str) -> tuple[int | None, int]:
    """A group's position, None for none, and the offset from which on records are unread.

    An offset of an earlier topic of that name means nothing. What retention has deleted cannot be read any more.
    """
    if committed is None or unstamped(committed.metadata, committed.offset).topic_id not in ("", topic_id):
        return None, span.low
    return committed.offset, max(span.low, committed.offset)


def partition_lag(
    hop: Hop, names: TopicNames, partition: int, *, position: int | None, span: Span, unread: Unread, now_ms: int
) -> PartitionLag:
    """The lag of a service's group in one partition."""
    return PartitionLag(
        hop.service,
        hop.role,
        names.group(hop.service),
        names.topic(hop.role),
        partition,
        position,
        unread.records,
        unread.exact,
        _since_s(unread.first_ms, now_ms),
        _since_s(unread.origin_ms if unread.origin_ms is not None else unread.first_ms, now_ms),
        unread.first_offset,
        span.high - span.end,
    )


def lag_of(pipeline: str, rows: Sequence[PartitionLag], stuck: Sequence[HangingTransaction], now_ms: int) -> Lag:
    """The lags of all partitions, and those of hops and paths that follow from them."""
    hops = dict.fromkeys(Hop(row.service, row.role) for row in rows)
    return Lag(
        pipeline,
        now_ms,
        tuple(rows),
        tuple(_hop(hop, [row for row in rows if (row.service, row.role) == hop]) for hop in hops),
        tuple(_path(end, on_it, rows) for end, on_it in PATHS.items()),
        tuple(stuck),
    )


def _hop(hop: Hop, rows: Sequence[PartitionLag]) -> HopLag:
    return HopLag(
        hop.service,
        hop.role,
        sum(row.records for row in rows),
        all(row.exact for row in rows),
        max(row.seconds for row in rows),
        sum(row.records > 0 for row in rows),
        len(rows),
        sum(row.hidden for row in rows),
        any(row.position is not None for row in rows),
        hop in ANSWERING,
    )


def _path(end: End, hops: frozenset[Hop], rows: Sequence[PartitionLag]) -> PathLag:
    """A service of drift that was never started keeps nobody waiting."""
    used = hops & ({*ANSWERING} | {Hop(row.service, row.role) for row in rows if row.position is not None})
    waiting = [row for row in rows if row.records and (row.service, row.role) in used]
    oldest = max(waiting, key=lambda row: row.origin_seconds, default=None)
    return PathLag(
        end,
        sum(row.records for row in waiting),
        0.0 if oldest is None else oldest.origin_seconds,
        None if oldest is None else Hop(oldest.service, oldest.role),
    )


def _since_s(at_ms: int | None, now_ms: int) -> float:
    """Clocks of two machines differ: a record of the future has not waited yet."""
    return 0.0 if at_ms is None else max(0, now_ms - at_ms) / 1000
