"""How much of what strangers write a process keeps: whoever may write a topic may write any number of records."""

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from freshet.avro.control import encode
from freshet.contracts.messages import Message

K = TypeVar("K")

MAX_BYTES: Final = 4 << 20
"""Of records as they are on the topic; in memory they take up to about fifteen times as much."""
_OVERHEAD_BYTES: Final = 1024
"""What is reckoned for a record beside its own bytes."""


class Room(Generic[K]):
    """Reckons the records that somebody keeps, by their keys; who keeps them drops some when it is full."""

    def __init__(self) -> None:
        self._sizes: dict[K, int] = {}
        self._bytes = 0

    def charge(self, key: K, record: Message) -> None:
        """This record is kept, instead of what was under its key before."""
        self.free(key)
        self._sizes[key] = size = len(encode(record)) + _OVERHEAD_BYTES
        self._bytes += size

    def free(self, key: K) -> None:
        """Nothing is kept under this key, or what is does not count."""
        self._bytes -= self._sizes.pop(key, 0)

    def clear(self) -> None:
        """Nothing is kept any more."""
        self._sizes.clear()
        self._bytes = 0

    @property
    def full(self) -> bool:
        """Whether more is kept than may be."""
        return self._bytes > MAX_BYTES

    @property
    def half_full(self) -> bool:
        """Whether it is more than half of that."""
        return self._bytes > MAX_BYTES // 2

    def __iter__(self) -> Iterator[K]:
        """The keys, the one that came first at first."""
        return iter(self._sizes)
