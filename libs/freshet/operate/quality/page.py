"""One page of HTML with all that `freshet quality` shows: no script, no style and no picture from elsewhere."""

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from freshet.operate.quality.chart import Point, bounds, courses, number, place
from freshet.operate.quality.estimated import NOTE, TITLES, Estimate, estimate_rows
from freshet.operate.quality.quality_tables import class_rows, class_titles, rows, titles
from freshet.operate.quality.series_quality import Quality

_WIDTH, _HEIGHT, _LEFT, _FOOT = 960, 320, 70, 40
_POINTS: Final = 400
_COLOURS: Final = ("#1f5fa8", "#b3541e", "#4b7f3a", "#7a4fa3")
STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0 2rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .75rem; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: #444; }
@media (prefers-color-scheme: dark) { body { background: #161616; color: #ddd; } svg text { fill: #bbb; } }
"""
"""How pages look, on a light screen and on a dark one."""


def page(found: Quality, made: str, estimated: Sequence[Estimate] = (), of_when: str = "") -> str:
    """The page; `made` says when, `of_when` of which answers the estimates are."""
    title = f"Quality of {escape(found.pipeline)}"
    view = (
        "rows in the order in which labels came"
        if found.view == "arrival"
        else "ranges of prediction time that are done"
    )
    parts = [
        f"<h1>{title}</h1>",
        f"<p>{view}; intervals are 95 %. Made {escape(made)}.</p>",
        table_of(titles(found), rows(found)),
        "<h2>Over time</h2>",
        _chart(found),
    ]
    if found.classes:
        parts += ["<h2>What was served, by class</h2>", table_of(class_titles(), class_rows(found))]
    body = "\n".join([*parts, estimated_part([(f"Answers {of_when}".rstrip(), estimated)])])
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>\n'
        f"<style>{STYLE}</style></head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def estimated_part(stretches: Sequence[tuple[str, Sequence[Estimate]]]) -> str:
    """What is estimated without labels, by stretch of time; nothing where there are no answers with a confidence."""
    tables = [f"<h3>{escape(name)}</h3>{table_of(TITLES, estimate_rows(found))}" for name, found in stretches if found]
    return "\n".join(["<h2>Estimated without labels</h2>", f"<p>{escape(NOTE)}</p>", *tables]) if tables else ""


def table_of(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """A table of text."""
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    lines = "\n".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in cells)
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>{lines}</tbody></table>"


def _chart(found: Quality) -> str:
    drawn = courses(found, _POINTS)
    low, high = bounds(list(drawn.values()))
    if math.isnan(low):
        return "<p>Nothing to draw yet.</p>"
    high = high if high > low else low + 1
    served, parts = next(iter(drawn.values())), [_axis(low, high, found)]
    for index, (name, points) in enumerate(drawn.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in _places(points, low, high))
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.8" points="{path}"/>')
        parts.append(f'<text x="{_LEFT + 170 * index}" y="{_HEIGHT - 4}" style="fill:{colour}">{escape(name)}</text>')
    for cut in found.cuts:
        x = _x(place(served, cut.at_ms), len(served))
        label = escape(f"epoch {cut.epoch}: {', '.join(cut.versions) or 'nobody'}")
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="14" y2="{_HEIGHT - _FOOT}" stroke="#888" stroke-dasharray="4 3"/>'
            f'<text x="{x + 4:.1f}" y="12">{label}</text>'
        )
    label = "accuracy" if found.classes else "mean absolute error"
    inner = "\n".join(parts)
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label} over time">\n{inner}\n</svg>'


def _axis(low: float, high: float, found: Quality) -> str:
    parts = []
    for step in range(5):
        value = low + (high - low) * step / 4
        y = _y(value, low, high)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#8884"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{number(value, found)}</text>'
        )
    return "\n".join(parts)


def _places(points: Sequence[Point], low: float, high: float) -> list[tuple[float, float]]:
    return [
        (_x(index, len(points)), _y(point.value, low, high))
        for index, point in enumerate(points)
        if not math.isnan(point.value)
    ]


def _x(index: int, count: int) -> float:
    return _LEFT + (_WIDTH - _LEFT - 10) * min(index, count) / max(count - 1, 1)


def _y(value: float, low: float, high: float) -> float:
    return 20 + (_HEIGHT - _FOOT - 20) * (high - value) / (high - low)
