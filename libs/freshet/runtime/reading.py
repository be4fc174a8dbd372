"""Reads all that a topic holds now, for tools and for whoever decides from the whole."""

import time
from collections.abc import Iterator, Mapping
from typing import Final

from freshet.contracts.batch import Batch
from freshet.runtime.bus.protocol import Bus, LogReader, Place, RetriableError

_READ_ROWS: Final = 10_000
_READ_S: Final = 1.0
_PATIENCE_S: Final = 30.0
_AGAIN_S: Final = 0.2


def everything(bus: Bus, role: str, starts: Mapping[Place, int] | None = None) -> Iterator[Batch]:
    """All records up to the ends as of now, each partition's in order; nothing if the topic does not exist.

    With `starts`, only those partitions, from there on. An error that passes, as while a partition changes its leader,
    is waited out; raises RetriableError if the broker gives nothing else for half a minute.
    """
    reader = bus.reader([role], starts)
    try:
        yield from until_caught_up(reader, role)
    finally:
        reader.close()


def until_caught_up(reader: LogReader, role: str) -> Iterator[Batch]:
    """What a reader has up to its ends. Waits and raises as `everything` does; `role` is the topic's name in the error.

    Only time spent in reading is silence: whoever takes the batches may work on one for as long as it likes.
    """
    silent_s, why = 0.0, ""
    while not reader.caught_up():
        try:
            batches = reader.read(_READ_ROWS, _READ_S)
            silent_s, why = (0.0, "") if batches else (silent_s + _READ_S, why)
        except RetriableError as error:
            batches, why = [], f": {error}"
            silent_s += _AGAIN_S
            time.sleep(_AGAIN_S)
        if silent_s > _PATIENCE_S:
            raise RetriableError(
                f"the {role} topic gave nothing for {_PATIENCE_S:.0f} s{why or '. Is the broker well?'}"
            )
        yield from batches
