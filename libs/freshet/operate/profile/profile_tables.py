"""Profiles as rows of text and as bars, for a terminal and for a page."""

import math
from collections.abc import Sequence
from typing import Final

from freshet.operate.profile.profile_view import ColumnChange, Stretch

_BARS: Final = " ▁▂▃▄▅▆▇█"
SHOWN: Final = ("column", "missing", "smallest", "mean", "deviation", "largest", "distribution")
COMPARED: Final = ("column", "index", "moved", "mean before", "now", "missing before", "now", "before", "now")


def shown_rows(found: Stretch) -> list[list[str]]:
    """A row for each column."""
    content = found.content
    missing = (content.nulls + content.infinite) / max(1, content.rows)
    rows = []
    for at, name in enumerate(content.names):
        moments = (content.minimum[at], content.mean[at], content.deviation[at], content.maximum[at])
        drawn = bars(content.histogram[at].tolist()) if content.edges else "–"
        rows.append([name, _share(float(missing[at])), *(_number(float(value)) for value in moments), drawn])
    return rows


def compared_rows(changes: Sequence[ColumnChange]) -> list[list[str]]:
    """A row for each column."""
    return [
        [
            one.name,
            f"{one.index:.3f}",
            _number(one.moved),
            *map(_number, one.mean),
            *map(_share, one.missing),
            *map(bars, one.shares),
        ]
        for one in changes
    ]


def bars(counts: Sequence[float]) -> str:
    """A character for each bin; what is not empty shows."""
    most = max(counts, default=0.0)
    if most <= 0:
        return _BARS[0] * len(counts)
    steps = len(_BARS) - 1
    return "".join(_BARS[max(1, round(count / most * steps))] if count > 0 else _BARS[0] for count in counts)


def unusual_rows_of(found: Stretch) -> list[list[str]]:
    """Place, distance and feature of the rows that lie farthest out."""
    return [[f"{partition}/{at}", f"{score:,.1f}", name] for partition, at, score, name in found.unusual]


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4g}"


def _share(value: float) -> str:
    return f"{value:.1%}" if value else "0"
