"""The shape of the data plane: records of one topic as columns."""

from collections.abc import Sequence
from functools import cached_property
from typing import Final, Protocol, runtime_checkable

import numpy as np

from freshet.contracts.arrays import Ints, Ints32

Headers = Sequence[tuple[str, bytes | None]]
"""Names and values in the producer's order; a name may repeat, and Kafka allows a value of null."""


class Record(Protocol):
    """One record as a Kafka client hands it out; read only to fill a column."""

    def topic(self) -> str: ...
    def partition(self) -> int: ...
    def offset(self) -> int: ...
    def timestamp(self) -> tuple[int, int]: ...
    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def headers(self) -> Headers | None: ...


@runtime_checkable
class _Settable(Protocol):
    def set_headers(self, headers: Headers, /) -> None: ...


_UNREADABLE: Final = (("unreadable-headers", b"a header's name was not UTF-8"),)
"""Takes the place of headers that the client cannot read."""


def read_headers(record: Record) -> Headers:
    """The headers of a record. All readers use this instead of `record.headers()`.

    Where a name is not UTF-8, all headers are replaced by one that says so. Kafka takes any bytes as a name, and Go, C
    and Rust clients send them. confluent-kafka then raises SystemError at the first call and gives a broken tuple at
    the second, so what the record itself holds is replaced, too.
    """
    try:
        return record.headers() or ()
    except (SystemError, UnicodeDecodeError):
        if isinstance(record, _Settable):
            record.set_headers(list(_UNREADABLE))
        return _UNREADABLE


class Batch:
    """Records of one topic, in the order they were read, as columns of equal length.

    `role` is the topic's name in `schemas/topics.yaml`, never its physical name. Within one partition offsets ascend.
    A column is made when it is first asked for, so one that nobody needs costs nothing.
    """

    def __init__(self, role: str, records: Sequence[Record]) -> None:
        """`records` are of one class: its methods are looked up once, not once for each row."""
        self.role = role
        self.records = records
        self._kind: type[Record] = type(records[0]) if records else Record

    def __len__(self) -> int:
        return len(self.records)

    @cached_property
    def values(self) -> list[bytes | None]:
        """The record values, untouched."""
        return list(map(self._kind.value, self.records))

    @cached_property
    def keys(self) -> list[bytes | None]:
        """The record keys, untouched."""
        return list(map(self._kind.key, self.records))

    @cached_property
    def partitions(self) -> Ints32:
        """Partition number of each row, int32 (n,)."""
        return np.fromiter(map(self._kind.partition, self.records), np.int32, len(self))

    @cached_property
    def offsets(self) -> Ints:
        """Offset of each row, int64 (n,)."""
        return np.fromiter(map(self._kind.offset, self.records), np.int64, len(self))

    @cached_property
    def timestamps_ms(self) -> Ints:
        """The broker's timestamp of each row, milliseconds since the epoch, int64 (n,)."""
        return np.array([record.timestamp()[1] for record in self.records], dtype=np.int64)

    @cached_property
    def spans(self) -> dict[int, tuple[int, int]]:
        """First and last offset of each partition's rows, by partition number, ascending.

        Rows come in runs of one partition, so only the ends of these are compared. `np.unique` finds the first row of
        each partition, and the last one in the reversed column: of the partitions 2, 0, 2 the first rows are 1 (of 0)
        and 0 (of 2), the last ones 1 and 2.
        """
        switches = np.flatnonzero(self.partitions[1:] != self.partitions[:-1])
        starts, ends = (np.concatenate(cut) for cut in (([0], switches + 1), (switches, [len(self) - 1])))
        numbers, firsts = np.unique(self.partitions[starts], return_index=True)
        lasts = len(ends) - 1 - np.unique(self.partitions[ends][::-1], return_index=True)[1]
        spans = zip(self.offsets[starts[firsts]].tolist(), self.offsets[ends[lasts]].tolist(), strict=True)
        return dict(zip(numbers.tolist(), spans, strict=True))

    @property
    def now_ms(self) -> int:
        """The largest broker timestamp in the batch: the only clock that a data-plane output may depend on."""
        return int(self.timestamps_ms.max())

    def rows(self, partition: int) -> Ints:
        """Indexes of this partition's rows, ascending, int64."""
        return np.flatnonzero(self.partitions == partition)
