"""Asks Kafka how far a pipeline's services are behind: committed offsets, ends, and the next readable records.

No service is asked, so one that is dead, hung or held does not look well. Ages are told by this machine's clock against
the brokers': where these differ, ages differ by as much.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from types import TracebackType
from typing import Final, Self

import numpy as np

from freshet.avro.framed import FramedReader
from freshet.contracts.batch import Record
from freshet.contracts.topic_table import TopicNames, topic_table
from freshet.operate.connection import Connection
from freshet.operate.lag.lag_rows import HOPS, NOTHING, Hop, Lag, PartitionLag, Unread, lag_of, partition_lag, start_of
from freshet.runtime.bus.kafka.groups import KafkaGroups
from freshet.runtime.bus.kafka.transactions import LONGEST_TRANSACTION_S, HangingTransaction, find_hanging
from freshet.runtime.bus.protocol import Bus, Committed, Place, Span
from freshet.runtime.clock import SystemClock

_CLOCK: Final = SystemClock()
_COUNTED: Final = 1000
"""So many offsets of a partition are read to count what is there; of more, only the next record is looked for."""
_OPEN_S: Final = 0.25
"""A transaction that is open for so short a time is an ordinary one: whose it is is not asked."""
_MAX_BYTES: Final = 4 << 20
_ORIGINS: Final = {
    "features": ("FeatureVector", "events"),
    "labels": ("Label", "feedback"),
    "predictions": ("Prediction", "events"),
}
"""Topics whose records name what they were made of: which message says so, and on which topic that is."""

ROLES: Final = tuple(role for role, topic in topic_table().items() if topic.per_pipeline and "/" not in role)
"""Every topic of a pipeline that a group may read: state topics are read by their owners alone, without one."""

Offsets = Callable[[str, Collection[Place]], Mapping[Place, Committed]]
"""The committed offsets of a service on these places."""


def lag(connection: Connection, pipeline: str) -> Lag:
    """How far the pipeline's services are behind now. Raises RetriableError or AdminError; see `LagReader`."""
    with LagReader(connection, pipeline) as reader:
        return reader.read()


class LagReader:
    """Reads the lag of one pipeline again and again. Not thread-safe.

    It needs the rights to READ the pipeline's topics and to DESCRIBE its groups; it joins none and commits nothing.
    """

    def __init__(self, connection: Connection, pipeline: str) -> None:
        self._admin = KafkaGroups(connection.bootstrap_servers, extra=connection.client)
        self._pipeline, self._names = pipeline, connection.names(pipeline)
        self._bus = connection.bus(pipeline)
        self._unread = UnreadRecords(self._bus)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self) -> Lag:
        """The lag now; takes some milliseconds for each partition that has something unread."""
        services = [*dict.fromkeys(hop.service for hop in HOPS), *self._strangers()]
        rows = list(partition_lags(self._bus, self._names, self._unread, self._committed, services))
        stuck = [one for one in self._open(services) if _too_long(one, _CLOCK.now_ms())]
        return lag_of(self._pipeline, rows, stuck, _CLOCK.now_ms())

    def close(self) -> None:
        """Free the clients."""
        self._unread.close()

    def _strangers(self) -> list[str]:
        """Services of somebody else's that read this pipeline, and lanes of ours, by their groups."""
        before, after = self._names.group("*").split("*")
        found = [group.removeprefix(before) for group in self._admin.groups(before)]
        known = {hop.service for hop in HOPS}
        return sorted({name.removesuffix(after) for name in found if name.endswith(after)} - known)

    def _committed(self, service: str, places: Collection[Place]) -> Mapping[Place, Committed]:
        asked = {(self._names.topic(place.role), place.partition): place for place in places}
        found = self._admin.committed_at(self._names.group(service), asked)
        return {asked[at]: committed for at, committed in found.items()}

    def _open(self, services: Collection[str]) -> list[HangingTransaction]:
        groups = [self._names.group(service) for service in services]
        return find_hanging(self._admin, [*map(self._names.topic, ROLES)], groups=groups, longest_s=_OPEN_S)


class UnreadRecords:
    """What a reader would get of a partition from an offset on."""

    def __init__(self, bus: Bus) -> None:
        self._ranges = bus.ranges(ROLES)
        self._messages = {role: FramedReader.of(name, max_bytes=_MAX_BYTES) for role, (name, _) in _ORIGINS.items()}

    def of(self, place: Place, first: int, span: Span) -> Unread:
        """What of the partition is unread from this offset on. Raises RetriableError."""
        found, reached = list[Record](), first
        while not found and reached < span.end:  # at first there may be nothing but markers and aborted records
            counted = reached + _COUNTED
            records, reached = self._ranges.read(place, reached, min(counted, span.end))
            found.extend(records)
        if not found:
            return NOTHING
        more = max(0, span.end - counted)
        first_ms = found[0].timestamp()[1]
        return Unread(len(found) + more, not more, found[0].offset(), first_ms, self._origin_ms(place.role, found[0]))

    def close(self) -> None:
        """Free the client."""
        self._ranges.close()

    def _origin_ms(self, role: str, record: Record) -> int | None:
        """When the broker took in what this record was made of; None where that is gone or cannot be told."""
        if role not in _ORIGINS:
            return None
        rows = self._messages[role].read([record.value()])
        if not rows.at.size:
            return None
        partition, offset = (int(np.asarray(rows.columns[f"source_{part}"])[0]) for part in ("partition", "offset"))
        found, _ = self._ranges.read(Place(_ORIGINS[role][1], partition), offset, offset + 1)
        return found[0].timestamp()[1] if found else None


def partition_lags(
    bus: Bus, names: TopicNames, unread: UnreadRecords, committed: Offsets, services: Collection[str]
) -> Iterator[PartitionLag]:
    """Every partition of every hop: Freshet's own, and topics on which another service has committed an offset."""
    counts, ids = bus.partition_counts(ROLES), bus.ask_topic_ids(ROLES)()
    places = [Place(role, partition) for role, count in counts.items() for partition in range(count)]
    # before the ends, which can only grow: what is committed meanwhile would lie beyond them
    offsets = {service: committed(service, places) for service in services}
    hops = [hop for hop in HOPS if hop.service in offsets] + [
        hop
        for service, at in offsets.items()
        for hop in sorted({Hop(service, place.role) for place in at}.difference(HOPS))
    ]
    spans = {role: bus.spans(role) for role in {hop.role for hop in hops}}
    for hop in hops:
        for partition, span in sorted(spans[hop.role].items()):
            place = Place(hop.role, partition)
            position, first = start_of(offsets[hop.service].get(place), span, ids[hop.role])
            found = unread.of(place, first, span)
            yield partition_lag(
                hop, names, partition, position=position, span=span, unread=found, now_ms=_CLOCK.now_ms()
            )


def _too_long(one: HangingTransaction, at_ms: int) -> bool:
    """What its coordinator has finished with never ends, however young it is."""
    return one.running is False or (one.since_ms is not None and at_ms - one.since_ms > LONGEST_TRANSACTION_S * 1000)
