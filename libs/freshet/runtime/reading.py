"""Reads all that a topic holds now, for tools and for whoever decides from the whole."""

from collections.abc import Iterator, Mapping
from typing import Final

from freshet.contracts.batch import Batch
from freshet.runtime.bus.protocol import Bus, Place, RetriableError

_READ_ROWS: Final = 10_000
_READ_S: Final = 1.0
_PATIENCE_S: Final = 30.0


def everything(bus: Bus, role: str, starts: Mapping[Place, int] | None = None) -> Iterator[Batch]:
    """All records up to the ends as of now, each partition's in order; nothing if the topic does not exist.

    With `starts`, only those partitions, from there on. Raises RetriableError if the broker falls silent.
    """
    reader = bus.reader([role], starts)
    silent_s = 0.0
    try:
        while not reader.caught_up():
            batches = reader.read(_READ_ROWS, _READ_S)
            silent_s = 0.0 if batches else silent_s + _READ_S
            if silent_s > _PATIENCE_S:
                raise RetriableError(f"the {role} topic gave nothing for {_PATIENCE_S:.0f} s. Is the broker well?")
            yield from batches
    finally:
        reader.close()
