"""Cuts an input into ranges, each of which becomes a slab. Only offset and day decide, so every owner cuts alike."""

from typing import Final, NamedTuple

import numpy as np

from freshet.contracts.arrays import Ints

_DAY_MS: Final = 86_400_000


class Frame(NamedTuple):
    """A range of one input, [first, end), with the append times of its rows; open as long as more rows may come.

    Times never go back: a row that the broker stamped earlier than a row before it gets that row's time.
    """

    first: int
    end: int
    first_ms: int = 0
    last_ms: int = 0
    rows: int = 0

    def then(self, end: int) -> "Frame":
        """The empty frame that follows this one."""
        return Frame(end, end, 0, self.last_ms)


def cut(frame: Frame, offsets: Ints, times_ms: Ints, rows: int) -> tuple[list[Frame], Frame]:
    """The frames that these further rows close, and the one that stays open.

    A frame ends where `offset // rows` or the day changes, at the offset of the next frame's first row. So ranges join
    without a gap, whatever control records lie between.
    """
    times = np.maximum(np.maximum.accumulate(times_ms), frame.last_ms)
    numbers, days = offsets // rows, times // _DAY_MS
    changes = np.zeros(len(offsets), np.bool_)
    changes[1:] = (numbers[1:] != numbers[:-1]) | (days[1:] != days[:-1])
    if frame.rows:
        changes[0] = (frame.end - 1) // rows != numbers[0] or frame.last_ms // _DAY_MS != days[0]
    starts = [0, *np.flatnonzero(changes).tolist()]
    closed = []
    for start, end in zip(starts, [*starts[1:], len(offsets)], strict=True):
        if changes[start] and end > start:
            closed.append(frame._replace(end=int(offsets[start])))
            frame = frame.then(int(offsets[start]))
        if end > start:
            first_ms = frame.first_ms if frame.rows else int(times[start])
            count = frame.rows + end - start
            frame = Frame(frame.first, int(offsets[end - 1]) + 1, first_ms, int(times[end - 1]), count)
    return closed, frame
