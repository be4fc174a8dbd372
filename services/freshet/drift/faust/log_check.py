"""Holds what Faust delivers against the log itself. Nothing that differs is used: the process ends."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from freshet.contracts.batch import Record
from freshet.drift.faust.faust_exit import leave
from freshet.runtime.bus.protocol import Bus, Place

_LOOK_S: Final = 5.0
_STALL_S: Final = 60.0
"""So long may the log hold a record that Faust does not deliver."""
_A_LOOK: Final = 64
"""Offsets that are looked at for one that was not delivered."""


class LogCheck:
    """For one partition; it reads with a client of its own."""

    def __init__(
        self,
        bus: Bus,
        place: Place,
        *,
        now_s: Callable[[], float] = time.monotonic,
        leave: Callable[[str], object] = leave,
    ) -> None:
        """`leave` ends the process."""
        self._bus, self._place, self._now_s, self._leave = bus, place, now_s, leave
        self._ranges = bus.ranges([place.role])
        self._looked_s = now_s()
        self._undelivered: tuple[int, float] | None = None

    def compare(self, first: int, delivered: Sequence[Record]) -> None:
        """What was delivered must be what the log holds from `first` up to its last record. Raises RetriableError."""
        self._undelivered = None
        said = {record.offset(): record.value() for record in delivered}
        held = self._held(first, delivered[-1].offset() + 1)
        if said == held:
            return
        offset = min(each for each in {*said, *held} if said.get(each, self) != held.get(each, self))
        done = "left out" if offset not in said else "altered" if offset in held else "added"
        self._leave(
            f"Faust {done} record {offset} of {self._place.role}: what it delivers is not what the log holds (a record "
            "of an aborted transaction is not held). Nothing of it was used. The next process goes on from the "
            "committed offset; if this happens again and again, set FRESHET_DRIFT_ENGINE=loop."
        )

    def nothing_came(self, position: int) -> None:
        """Look every few seconds whether the log holds something from there on. Raises RetriableError."""
        now_s = self._now_s()
        if now_s - self._looked_s < _LOOK_S:
            return
        self._looked_s = now_s
        end = min(self._bus.spans(self._place.role)[self._place.partition].end, position + _A_LOOK)
        unread = min(self._held(position, end), default=None)
        if unread is None or self._undelivered is None or self._undelivered[0] != unread:
            self._undelivered = None if unread is None else (unread, now_s)
        elif now_s - self._undelivered[1] > _STALL_S:
            self._leave(
                f"Faust does not deliver record {unread} of {self._place.role}, which the log has held for "
                f"{_STALL_S:.0f} s."
            )

    def _held(self, first: int, end: int) -> dict[int, bytes | None]:
        """The log's records with first ≤ offset < end."""
        found: dict[int, bytes | None] = {}
        while first < end:
            records, upto = self._ranges.read(self._place, first, end)
            found.update((record.offset(), record.value()) for record in records)
            if upto <= first:
                break
            first = upto
        return found

    def close(self) -> None:
        """Free the client."""
        self._ranges.close()
