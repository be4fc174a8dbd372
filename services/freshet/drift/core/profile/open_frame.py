"""The state of one input of a partition: the rows of its open frame, and its first rows while edges rest on them."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from freshet.drift.core.profile.profile_rows import InputColumns, ReadRows
from freshet.profiles.frame_making import HOUR_MS, GroupedRows, frame_rows

FIRST_ROWS: Final = 512
"""Edges are chosen from so many rows, or from as many as a frame of such wide rows holds."""


class ClosedFrame(NamedTuple):
    """A stretch of offsets [from, to) that is over."""

    from_offset: int
    to_offset: int
    first_ms: int
    last_ms: int
    refused: int
    rows: GroupedRows


@dataclass(frozen=True, slots=True, eq=False)
class OpenFrame:
    """What one input of a partition held up to some offset.

    A frame is over with the first row of another hour (broker's time), of another stretch of offsets, or of another
    width: never because time passed. So the state follows from the rows alone.
    """

    since: int = -1
    """The first offset that was read; -1 before."""
    from_offset: int = -1
    key: tuple[int, int, int] = (-1, -1, -1)
    """Stretch of offsets, hour, and width of the open frame."""
    first_ms: int = 0
    last_ms: int = 0
    refused: int = 0
    loose: int = 0
    """Records since its last row that are none; the frame of the next row counts them."""
    parts: tuple[InputColumns, ...] = ()
    first_rows: tuple[InputColumns, ...] = ()
    """The first rows of the newest width, up to `FIRST_ROWS`: kept, as any partition may have to choose edges."""
    first_width: int = 0
    first_count: int = 0
    chooses: bool = True
    """Whether edges are chosen from its first rows; those of classes' answers are known, so none are kept."""
    closed: tuple[ClosedFrame, ...] = field(default=())
    """Frames that the last `with_rows` closed: no part of the state."""

    def with_rows(self, read: ReadRows) -> "OpenFrame":
        """The state after these rows, with the frames that they close."""
        now = replace(self, closed=())
        offsets = [part.offsets for part in read.stretches]
        if now.since < 0 and (read.refused.size or offsets):
            first = min([*(int(one[0]) for one in offsets), *read.refused[:1].tolist()])
            now = replace(now, since=first, from_offset=first)
        seen = 0
        for stretch in read.stretches:
            for run in _runs(stretch):
                behind = int(np.searchsorted(read.refused, run.offsets[-1]))
                now = now._with_run(run, now.loose + behind - seen)
                now, seen = replace(now, loose=0), behind
        return replace(now, loose=now.loose + read.refused.size - seen)

    @property
    def has_first_rows(self) -> bool:
        """Whether enough rows came to choose edges from."""
        return self.first_count > 0 and self.first_count >= _enough(self.first_width)

    @property
    def chosen_from(self) -> InputColumns:
        """The rows to choose edges from; at least one must have come."""
        return joined(self.first_rows)

    def _with_run(self, run: InputColumns, refused: int) -> "OpenFrame":
        """With rows that all belong to one frame."""
        key = _key(run)
        now = self
        if now.parts and key != now.key:
            now = now._over()
        if not now.parts:
            now = replace(now, key=key, first_ms=int(run.times_ms[0]))
        now = now._first(run)
        last_ms = max(now.last_ms, int(run.times_ms.max())) if now.parts else int(run.times_ms.max())
        return replace(now, parts=(*now.parts, run), last_ms=last_ms, refused=now.refused + refused)

    def _over(self) -> "OpenFrame":
        rows = joined(self.parts)
        end = int(rows.offsets[-1]) + 1
        done = ClosedFrame(self.from_offset, end, self.first_ms, self.last_ms, self.refused, grouped(rows))
        return replace(self, from_offset=end, refused=0, parts=(), closed=(*self.closed, done))

    def _first(self, run: InputColumns) -> "OpenFrame":
        """With these among the first rows of their width, as long as more are wanted."""
        if not self.chooses:
            return self
        width = run.width
        now = self if width == self.first_width else replace(self, first_width=width, first_count=0, first_rows=())
        more = min(_enough(width) - now.first_count, len(run.offsets))
        if more <= 0:
            return now
        return replace(now, first_count=now.first_count + more, first_rows=(*now.first_rows, _cut(run, slice(0, more))))


def _enough(width: int) -> int:
    return min(FIRST_ROWS, frame_rows(width))


def _key(run: InputColumns) -> tuple[int, int, int]:
    return int(run.offsets[0]) // frame_rows(run.width), int(run.times_ms[0]) // HOUR_MS, run.width


def _runs(stretch: InputColumns) -> Iterator[InputColumns]:
    """The rows, cut where a frame ends."""
    rows = frame_rows(stretch.width)
    other = (np.diff(stretch.offsets // rows) != 0) | (np.diff(stretch.times_ms // HOUR_MS) != 0)
    bounds = [0, *(np.flatnonzero(other) + 1).tolist(), len(stretch.offsets)]
    for first, end in pairwise(bounds):
        yield _cut(stretch, slice(first, end))


def _cut(rows: InputColumns, at: slice) -> InputColumns:
    return replace(
        rows,
        offsets=rows.offsets[at],
        times_ms=rows.times_ms[at],
        values=rows.values[at],
        versions=rows.versions[at],
        epochs=rows.epochs[at],
    )


def joined(parts: tuple[InputColumns, ...]) -> InputColumns:
    """Rows of one width put together; at least one part."""
    return InputColumns(
        np.concatenate([part.offsets for part in parts]),
        np.concatenate([part.times_ms for part in parts]),
        np.concatenate([part.values for part in parts]),
        [version for part in parts for version in part.versions],
        np.concatenate([part.epochs for part in parts]),
        parts[0].width,
    )


def grouped(rows: InputColumns) -> GroupedRows:
    """Groups in the order in which they first answered."""
    places: dict[tuple[str, int], int] = {}
    keys = zip(rows.versions, rows.epochs.tolist(), strict=True)
    groups = np.fromiter((places.setdefault(key, len(places)) for key in keys), np.int64, len(rows.versions))
    return GroupedRows(
        rows.offsets, rows.values, groups, tuple(key[0] for key in places), tuple(key[1] for key in places)
    )
