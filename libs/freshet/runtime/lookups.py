"""Single records of a topic by offset, for a logic that looks things up. Read in blocks, of which the last are kept."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.contracts.batch import Batch, Record
from freshet.runtime.bus.protocol import Bus, Place, RangeReader

FRAME: Final = 128
"""How many offsets are read at once (a frame): what is asked for next is usually close by."""
_GAP_FRAMES: Final = 16
"""Up to this many frames between two that are asked for are read too: that is cheaper than another request."""
_RUN_FRAMES: Final = 256
_KEPT_RECORDS: Final = 32_768


class _Frame(NamedTuple):
    place: Place
    number: int


class Lookups:
    """Reads with one client, made when it is first needed."""

    def __init__(self, bus: Bus, roles: Sequence[str]) -> None:
        self._bus, self._roles = bus, roles
        self._reader: RangeReader | None = None
        self._kept: OrderedDict[_Frame, list[Record]] = OrderedDict()
        self._records = 0

    def find(self, place: Place, offsets: Ints) -> Batch:
        """The records at these ascending offsets, as far as they exist. Raises RetriableError."""
        frames = np.unique(offsets // FRAME).tolist()
        found = {number: self._kept[frame] for number in frames if (frame := _Frame(place, number)) in self._kept}
        for first, end in _runs([number for number in frames if number not in found]):
            found |= self._read(place, first, end)
        for number in frames:
            if (frame := _Frame(place, number)) in self._kept:
                self._kept.move_to_end(frame)
        self._forget()
        wanted = set(offsets.tolist())
        records = [record for number in frames for record in found.get(number, []) if record.offset() in wanted]
        return Batch(place.role, records)

    def _read(self, place: Place, first: int, end: int) -> dict[int, list[Record]]:
        """The frames first ≤ number < end. Those whose end is not written yet are not kept."""
        if self._reader is None:
            self._reader = self._bus.ranges(self._roles)
        records, reached = self._reader.read(place, first * FRAME, end * FRAME)
        found: dict[int, list[Record]] = {number: [] for number in range(first, end)}
        for record in records:
            found[record.offset() // FRAME].append(record)
        for number, held in found.items():
            if (number + 1) * FRAME <= reached:
                self._kept[_Frame(place, number)] = held
                self._records += len(held)
        return found

    def _forget(self) -> None:
        while self._records > _KEPT_RECORDS and len(self._kept) > 1:
            self._records -= len(self._kept.popitem(last=False)[1])

    def close(self) -> None:
        """Free the client."""
        if self._reader is not None:
            self._reader.close()


def _runs(frames: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ranges [first, end) of frames that are read together."""
    first = last = -1
    for number in frames:
        if first >= 0 and (number - last > _GAP_FRAMES or number - first >= _RUN_FRAMES):
            yield first, last + 1
            first = -1
        first, last = number if first < 0 else first, number
    if first >= 0:
        yield first, last + 1
