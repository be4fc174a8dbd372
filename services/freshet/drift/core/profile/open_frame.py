"""The state of one input of a partition: the rows of its open frame, and its first rows while edges rest on them."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final, NamedTuple, Self

import numpy as np

from freshet.contracts.arrays import Floats32, Ints
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
        return _joined(self.first_rows)

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
        rows = _joined(self.parts)
        end = int(rows.offsets[-1]) + 1
        done = ClosedFrame(self.from_offset, end, self.first_ms, self.last_ms, self.refused, _grouped(rows))
        return replace(self, from_offset=end, refused=0, parts=(), closed=(*self.closed, done))

    def _first(self, run: InputColumns) -> "OpenFrame":
        """With these among the first rows of their width, as long as more are wanted."""
        width = run.values.shape[1]
        now = self if width == self.first_width else replace(self, first_width=width, first_count=0, first_rows=())
        more = min(_enough(width) - now.first_count, len(run.offsets))
        if more <= 0:
            return now
        return replace(now, first_count=now.first_count + more, first_rows=(*now.first_rows, _cut(run, slice(0, more))))

    def values(self) -> dict[str, Any]:
        """For a checkpoint; the same state gives the same values, however its rows came."""
        return {
            "since": self.since,
            "from": self.from_offset,
            "key": list(self.key),
            "times": [self.first_ms, self.last_ms],
            "refused": [self.refused, self.loose],
            "parts": _packed(self.parts),
            "first": _packed(self.first_rows),
            "first_seen": [self.first_width, self.first_count],
        }

    @classmethod
    def of(cls, values: dict[str, Any]) -> Self:
        """The state that gave these values."""
        first, last = values["times"]
        refused, loose = values["refused"]
        width, count = values["first_seen"]
        parts, firsts = _unpacked(values["parts"]), _unpacked(values["first"])
        key = tuple(values["key"])
        return cls(values["since"], values["from"], key, first, last, refused, loose, parts, firsts, width, count)


def _enough(width: int) -> int:
    return min(FIRST_ROWS, frame_rows(width))


def _key(run: InputColumns) -> tuple[int, int, int]:
    width = run.values.shape[1]
    return int(run.offsets[0]) // frame_rows(width), int(run.times_ms[0]) // HOUR_MS, width


def _runs(stretch: InputColumns) -> Iterator[InputColumns]:
    """The rows, cut where a frame ends."""
    rows = frame_rows(stretch.values.shape[1])
    other = (np.diff(stretch.offsets // rows) != 0) | (np.diff(stretch.times_ms // HOUR_MS) != 0)
    bounds = [0, *(np.flatnonzero(other) + 1).tolist(), len(stretch.offsets)]
    for first, end in pairwise(bounds):
        yield _cut(stretch, slice(first, end))


def _cut(rows: InputColumns, at: slice) -> InputColumns:
    return InputColumns(rows.offsets[at], rows.times_ms[at], rows.values[at], rows.versions[at], rows.epochs[at])


def _joined(parts: tuple[InputColumns, ...]) -> InputColumns:
    return InputColumns(
        np.concatenate([part.offsets for part in parts]),
        np.concatenate([part.times_ms for part in parts]),
        np.concatenate([part.values for part in parts]),
        [version for part in parts for version in part.versions],
        np.concatenate([part.epochs for part in parts]),
    )


def _grouped(rows: InputColumns) -> GroupedRows:
    """Groups in the order in which they first answered."""
    places: dict[tuple[str, int], int] = {}
    keys = zip(rows.versions, rows.epochs.tolist(), strict=True)
    groups = np.fromiter((places.setdefault(key, len(places)) for key in keys), np.int64, len(rows.versions))
    return GroupedRows(
        rows.offsets, rows.values, groups, tuple(key[0] for key in places), tuple(key[1] for key in places)
    )


def _packed(parts: tuple[InputColumns, ...]) -> dict[str, Any] | None:
    if not parts:
        return None
    rows = _joined(parts)
    groups = _grouped(rows)
    return {
        "width": rows.values.shape[1],
        "offsets": _text(rows.offsets.astype("<i8")),
        "times": _text(rows.times_ms.astype("<i8")),
        "values": _text(rows.values.astype("<f4")),
        "groups": _text(groups.groups.astype("<i4")),
        "versions": groups.versions,
        "epochs": groups.epochs,
    }


def _unpacked(values: dict[str, Any] | None) -> tuple[InputColumns, ...]:
    if values is None:
        return ()
    groups: Ints = _numbers(values["groups"], "<i4").astype(np.int64)
    rows: Floats32 = _numbers(values["values"], "<f4").reshape(-1, values["width"])
    return (
        InputColumns(
            _numbers(values["offsets"], "<i8"),
            _numbers(values["times"], "<i8"),
            rows,
            [values["versions"][group] for group in groups.tolist()],
            np.array(values["epochs"], np.int64)[groups],
        ),
    )


def _text(column: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(column).tobytes()).decode()


def _numbers(text: str, kind: str) -> Any:
    return np.frombuffer(base64.b64decode(text), np.dtype(kind))
