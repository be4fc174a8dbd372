"""From the rows of a stretch to the content of its frame: columns in, counts out."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from freshet.contracts.arrays import Floats, Floats32, Ints
from freshet.contracts.profile_messages import UnusualRow
from freshet.profiles.bin_edges import BinEdges
from freshet.profiles.frame_content import FrameContent

_ROWS: Final = 1024
_BYTES: Final = 320 << 10
_FEWEST_ROWS: Final = 64
HOUR_MS: Final = 3_600_000
UNUSUAL_FROM: Final = 8.0
"""A row is unusual from so many usual distances on."""
_TOLD: Final = 5
"""So many unusual rows of a frame are told by their offsets."""


def frame_rows(width: int) -> int:
    """A frame holds at most the rows of so many offsets: fewer of wide rows, as those of the open one are kept."""
    rows = _ROWS
    while rows > _FEWEST_ROWS and rows * width * 4 > _BYTES:
        rows //= 2
    return rows


@dataclass(frozen=True, slots=True, eq=False)
class GroupedRows:
    """m rows of n columns. Each belongs to a group of its version and epoch, told by its place in these two."""

    offsets: Ints
    values: Floats32
    """(m, n)."""
    groups: Ints
    versions: tuple[str, ...]
    epochs: tuple[int, ...]


def content(names: tuple[str, ...], rows: GroupedRows, edges: BinEdges | None) -> FrameContent:
    """What these rows look like; without bins where there are no edges yet."""
    values = rows.values.astype(np.float64)
    nulls, infinite = np.isnan(values), np.isinf(values)
    known = ~(nulls | infinite)
    count = known.sum(axis=0)
    mean = np.where(known, values, 0.0).sum(axis=0) / np.maximum(count, 1)
    squares = (np.where(known, values - mean, 0.0) ** 2).sum(axis=0)
    groups = len(rows.versions)
    none = np.zeros((groups, len(names), 0), np.int64)
    return FrameContent(
        names,
        len(values),
        nulls.sum(axis=0),
        infinite.sum(axis=0),
        _or_nan(np.where(known, values, np.inf).min(axis=0), count),
        _or_nan(np.where(known, values, -np.inf).max(axis=0), count),
        mean,
        squares,
        edges.id if edges else "",
        edges.counts(rows.values, rows.groups, groups) if edges else none,
        rows.versions,
        rows.epochs,
        np.bincount(rows.groups, minlength=groups),
    )


def unusual_rows(names: tuple[str, ...], rows: GroupedRows, edges: BinEdges | None) -> tuple[int, list[UnusualRow]]:
    """How many rows lie far from the usual values, and those that lie farthest, the farthest first.

    Of rows that lie alike far out, the earlier ones come first.
    """
    if edges is None or not names:
        return 0, []
    far, score = distances(rows.values, edges)
    at = np.argsort(-score, kind="stable")[:_TOLD]
    told = [
        UnusualRow(offset=int(rows.offsets[row]), score=float(score[row]), feature=names[far[row]])
        for row in at.tolist()
        if score[row] >= UNUSUAL_FROM
    ]
    return int(np.count_nonzero(score >= UNUSUAL_FROM)), told


def distances(values: Floats32, edges: BinEdges) -> tuple[Ints, Floats]:
    """How far each row lies out: its farthest column, and how many usual distances that is from the median.

    NaN and infinity count as nothing here: they are counted by themselves.
    """
    with np.errstate(invalid="ignore"):
        scores = np.abs(values.astype(np.float64) - edges.centre) / edges.distance
    scores = np.where(np.isfinite(scores), scores, 0.0)
    far: Ints = np.argmax(scores, axis=1)
    score: Floats = scores[np.arange(len(far)), far]
    return far, score


def _or_nan(values: Floats, count: Ints) -> Floats:
    found: Floats = np.where(count > 0, values, np.nan)
    return found
