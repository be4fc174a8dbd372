"""A range of the profiles added up, and two of them compared, column by column."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from freshet.contracts.profile_messages import Frame, FrameKind
from freshet.detectors.parts.psi import stability_index
from freshet.detectors.parts.wasserstein import WassersteinDetector
from freshet.operate.times import clock_time
from freshet.profiles.bin_edges import BinEdges
from freshet.profiles.frame_content import FrameContent
from freshet.profiles.frame_records import PlacedFrame

_UNUSUAL: Final = 10
_NO_RULE: Final = WassersteinDetector()


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Frames of one kind that are added up."""

    content: FrameContent
    frames: int
    first_ms: int
    last_ms: int
    refused: int
    left_out: int
    """Rows between other edges than those of the newest frames: their bins cannot be added to these."""
    unusual: Sequence[tuple[int, int, float, str]]
    """Partition, offset, usual distances from the median, and the feature, of the rows that lie farthest out."""

    @property
    def told(self) -> str:
        """One line for people."""
        when = f"{clock_time(self.first_ms)[:16]} to {clock_time(self.last_ms)[:16]} UTC"
        less = f"; {self.left_out:,} rows before were counted between other edges" if self.left_out else ""
        return f"{self.content.rows:,} rows in {self.frames:,} frames, {when}{less}"


@dataclass(frozen=True, slots=True, eq=False)
class ColumnChange:
    """How one column of a stretch differs from the same one before."""

    name: str
    index: float
    """The population stability index."""
    moved: float
    """In standard deviations of what was before; NaN where the edges are not known."""
    mean: tuple[float, float]
    missing: tuple[float, float]
    shares: tuple[Sequence[float], Sequence[float]]
    """Of all bins, before and now."""


def stretch(frames: Iterable[PlacedFrame], kind: FrameKind, from_ms: int = 0, to_ms: int = 1 << 62) -> Stretch | None:
    """Frames between two moments, of the newest list of columns and the newest edges; None if there are none."""
    found = [one.frame for one in frames if one.frame.kind == kind and from_ms <= one.frame.first_ms < to_ms]
    found = [frame for frame in found if frame.names == found[-1].names]
    if not found:
        return None
    edges = next((frame.edges for frame in reversed(found) if frame.edges), "")
    binned = [frame for frame in found if frame.edges == edges]
    return Stretch(
        FrameContent.added([FrameContent.of(frame) for frame in binned]),
        len(binned),
        min(frame.first_ms for frame in binned),
        max(frame.last_ms for frame in binned),
        sum(frame.refused for frame in found),
        sum(frame.rows for frame in found if frame.edges not in {"", edges}),
        _unusual(found),
    )


def overlap(before: Stretch, now: Stretch) -> str:
    """Why the times of two stretches overlap, in a sentence; empty where they do not."""
    if before.last_ms < now.first_ms:
        return ""
    return (
        "These times overlap, and no row is counted twice: a frame, about a thousand rows of one partition, is counted "
        "whole on the side on which its first row lies."
    )


def compared(before: Stretch, now: Stretch, edges: Mapping[str, BinEdges]) -> list[ColumnChange]:
    """All columns, those that changed most first; none of stretches that have other columns, or other edges."""
    old, new = before.content, now.content
    if old.names != new.names or not new.edges or old.edges != new.edges:
        return []
    index = stability_index(new.histogram, old.histogram)
    between = edges.get(new.edges)
    moved = _NO_RULE.statistic(new, old, between) if between is not None else np.full(len(index), np.nan)
    shares = [content.histogram / np.maximum(1, content.histogram.sum(axis=1))[:, None] for content in (old, new)]
    missing = [(content.nulls + content.infinite) / max(1, content.rows) for content in (old, new)]
    return [
        ColumnChange(
            old.names[at],
            float(index[at]),
            float(moved[at]),
            (float(old.mean[at]), float(new.mean[at])),
            (float(missing[0][at]), float(missing[1][at])),
            (shares[0][at].tolist(), shares[1][at].tolist()),
        )
        for at in np.argsort(-index, kind="stable").tolist()
    ]


def document(found: Stretch) -> dict[str, Any]:
    """For `--json`; NaN becomes null."""
    content = found.content
    columns = [
        {
            "name": name,
            "nulls": int(content.nulls[at]),
            "infinite": int(content.infinite[at]),
            "minimum": _number(content.minimum[at]),
            "maximum": _number(content.maximum[at]),
            "mean": _number(content.mean[at]),
            "deviation": _number(content.deviation[at]),
            "bins": content.histogram[at].tolist(),
        }
        for at, name in enumerate(content.names)
    ]
    unusual = [dict(zip(("partition", "offset", "score", "feature"), row, strict=True)) for row in found.unusual]
    return {
        "rows": content.rows,
        "frames": found.frames,
        "first_ms": found.first_ms,
        "last_ms": found.last_ms,
        "refused": found.refused,
        "edges": content.edges,
        "columns": columns,
        "unusual_rows": content.unusual_rows,
        "unusual": unusual,
    }


def _unusual(frames: Sequence[Frame]) -> list[tuple[int, int, float, str]]:
    rows = [(frame.partition, one.offset, one.score, one.feature) for frame in frames for one in frame.unusual]
    return sorted(rows, key=lambda row: (-row[2], row[0], row[1]))[:_UNUSUAL]


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
