"""One partition as a broker keeps it."""

from bisect import bisect_left
from collections.abc import Hashable
from typing import Final, NamedTuple

from freshet.contracts.batch import Headers
from freshet.runtime.bus.protocol import Span

_LOG_APPEND_TIME: Final = 2  # Kafka's number for "the broker set this timestamp"


class At(NamedTuple):
    """A partition by the physical name of its topic."""

    topic: str
    partition: int


class Payload(NamedTuple):
    """What a producer puts into a record."""

    key: bytes | None
    value: bytes | None
    headers: Headers | None = None

    def size_bytes(self) -> int:
        """Bytes of key, value and headers."""
        size = len(self.key or b"") + len(self.value or b"")
        return size + sum(len(name.encode()) + len(content or b"") for name, content in self.headers or ())


class MemoryRecord:
    """Implements `contracts.batch.Record`."""

    __slots__ = ("_at", "_offset", "_payload", "_timestamp_ms")

    def __init__(self, at: At, offset: int, timestamp_ms: int, payload: Payload) -> None:
        self._at = at
        self._offset = offset
        self._timestamp_ms = timestamp_ms
        self._payload = payload

    def topic(self) -> str:
        """Physical name of the topic."""
        return self._at.topic

    def partition(self) -> int:
        """Partition number."""
        return self._at.partition

    def offset(self) -> int:
        """Position in the partition."""
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        """Kind of timestamp (always LogAppendTime) and milliseconds since the epoch."""
        return _LOG_APPEND_TIME, self._timestamp_ms

    def key(self) -> bytes | None:
        """The key, untouched."""
        return self._payload.key

    def value(self) -> bytes | None:
        """The value, untouched."""
        return self._payload.value

    def headers(self) -> Headers | None:
        """The headers in order; None when there are none, as Kafka clients have it."""
        return self._payload.headers or None

    def size_bytes(self) -> int:
        """Bytes of all that the producer put into the record."""
        return self._payload.size_bytes()


class PartitionLog:
    """Records by ascending offset, with gaps where markers are and where aborted or compacted records were.

    Readers are read_committed: they see nothing at or after the first record of an open transaction (KIP-98).
    """

    def __init__(self, at: At) -> None:
        self.at = at
        self.low = 0
        self.high_watermark = 0
        self._records: list[MemoryRecord] = []
        self._offsets: list[int] = []  # of `_records`, for bisection
        self._open: dict[Hashable, list[int]] = {}  # offsets by open transaction

    @property
    def last_stable_offset(self) -> int:
        """Where a read_committed reader must stop: the first offset of an open transaction, or the end."""
        return min((offsets[0] for offsets in self._open.values()), default=self.high_watermark)

    def span(self) -> Span:
        """What the partition holds, and how much of it a read_committed reader can have."""
        return Span(self.low, self.last_stable_offset, self.high_watermark)

    def offset_at(self, timestamp_ms: int) -> int:
        """The first visible offset whose timestamp is not before that time, or the end."""
        end = self.last_stable_offset
        later = (r.offset() for r in self._records if r.offset() < end and r.timestamp()[1] >= timestamp_ms)
        return next(later, end)

    def last_record(self) -> int:
        """Offset of the last record that is still there, seen or not; -1 without any."""
        return self._offsets[-1] if self._offsets else -1

    def append(self, timestamp_ms: int, payload: Payload, transaction: Hashable | None = None) -> int:
        """Write one record, as part of the transaction if one is given; its offset."""
        offset = self._next_offset()
        self._records.append(MemoryRecord(self.at, offset, timestamp_ms, payload))
        self._offsets.append(offset)
        if transaction is not None:
            self._open.setdefault(transaction, []).append(offset)
        return offset

    def end(self, transaction: Hashable, *, committed: bool) -> None:
        """Write the transaction's marker, which takes an offset. Records of an aborted one will never be seen."""
        offsets = self._open.pop(transaction)
        self._next_offset()
        if not committed:
            aborted = set(offsets)
            self._keep([record for record in self._records if record.offset() not in aborted])

    def fetch(self, position: int, limit: int, limit_bytes: int, end: int) -> tuple[list[MemoryRecord], int]:
        """The visible records from a position on and before `end`, and the position behind them.

        At least one record if there is one, at most limit, and no more once limit_bytes are exceeded. With nothing
        left to see, the position passes over gaps and markers to `end`, or to the last stable offset.
        """
        first = bisect_left(self._offsets, position)
        end = min(end, self.last_stable_offset)
        stable = bisect_left(self._offsets, end)
        taken: list[MemoryRecord] = []
        size_bytes = 0
        for record in self._records[first : min(stable, first + limit)]:
            taken.append(record)
            size_bytes += record.size_bytes()
            if size_bytes >= limit_bytes:
                break
        if first + len(taken) >= stable:
            return taken, max(position, end)
        return taken, taken[-1].offset() + 1

    def truncate(self, low: int) -> None:
        """Forget everything below an offset, as retention does."""
        assert self.low <= low <= self.last_stable_offset, f"{low} is outside {self.span()}"
        self.low = low
        self._keep([record for record in self._records if record.offset() >= low])

    def compact(self) -> None:
        """Keep the last record of each key, as Kafka's cleaner does below the last stable offset; tombstones stay."""
        stable = self.last_stable_offset
        last = {record.key(): record.offset() for record in self._records if record.offset() < stable}
        self._keep(
            [record for record in self._records if record.offset() >= stable or last[record.key()] == record.offset()]
        )

    def _next_offset(self) -> int:
        self.high_watermark += 1
        return self.high_watermark - 1

    def _keep(self, records: list[MemoryRecord]) -> None:
        self._records = records
        self._offsets = [record.offset() for record in records]
