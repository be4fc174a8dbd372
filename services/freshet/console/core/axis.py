"""The one time axis that all figures of a page share, and what is drawn on it: SVG, made of escaped text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from freshet.console.core.number_words import minute_words

_MINUTE_MS: Final = 60_000
SPANS_MIN: Final = (5, 15, 60, 6 * 60, 24 * 60)
"""A page shows the shortest of these lengths of time that has all that there is to see."""
_TICKS_MIN: Final = {5: 1, 15: 5, 60: 10, 6 * 60: 60, 24 * 60: 4 * 60}
ROUND_MS: Final = 10_000
"""The axis ends at a multiple of this, so that a figure stays the same for as long."""


@dataclass(frozen=True, slots=True)
class Axis:
    """From time to place, on a figure that is `width` wide."""

    since_ms: int
    until_ms: int
    width: int
    left: int
    right: int

    def x(self, at_ms: float) -> float:
        """Where a moment lies; those outside lie at the nearest end."""
        share = (at_ms - self.since_ms) / max(1, self.until_ms - self.since_ms)
        return round(self.left + min(1.0, max(0.0, share)) * (self.right - self.left), 1)

    def ticks(self, y: float, *, every: int = 1) -> str:
        """Marks at round times, with the time at each `every`th."""
        step_ms = _TICKS_MIN.get(self.span_min, 60) * _MINUTE_MS
        first = -(-self.since_ms // step_ms)
        out = []
        for number in range(first, self.until_ms // step_ms + 1):
            at = self.x(number * step_ms)
            out.append(f'<path class="ax2" d="M{at} {y}v4"/>')
            if number % every == 0:
                out.append(text(at, y + 15, minute_words(number * step_ms), "t3", "middle"))
        return "".join(out)

    @property
    def span_min(self) -> int:
        """Its length."""
        return round((self.until_ms - self.since_ms) / _MINUTE_MS)


def wide(since_ms: int, until_ms: int) -> Axis:
    """For a page of 1280 pixels: values stand to the left, words to the right."""
    return Axis(since_ms, until_ms, 1016, 40, 818)


def narrow(since_ms: int, until_ms: int) -> Axis:
    """For a page of 390 pixels."""
    return Axis(since_ms, until_ms, 362, 34, 358)


def window(first_ms: int, now_ms: int) -> tuple[int, int]:
    """Begin and end of an axis that shows all since `first_ms`, as far as a day reaches."""
    until_ms = -(-now_ms // ROUND_MS) * ROUND_MS
    needed = (until_ms - first_ms) / _MINUTE_MS
    span = next((one for one in SPANS_MIN if one >= needed), SPANS_MIN[-1])
    return until_ms - span * _MINUTE_MS, until_ms


def text(x: float, y: float, words: str, kind: str = "t1", anchor: str = "start") -> str:
    """Words in a figure."""
    at = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{at}>{escape(words)}</text>'


def line(kind: str, points: Sequence[tuple[float, float]]) -> str:
    """A line through points; a single one is drawn as a short stroke, so that it is seen."""
    if not points:
        return ""
    if len(points) == 1:
        x, y = points[0]
        points = [(x - 1.5, y), (x + 1.5, y)]
    return f'<polyline class="{kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def pieces(points: Sequence[tuple[int, float, float]], gap_ms: int) -> Iterator[list[tuple[float, float]]]:
    """(at_ms, x, y) as lines that are not drawn over gaps longer than that."""
    part: list[tuple[float, float]] = []
    last_ms: int | None = None
    for at_ms, x, y in points:
        if last_ms is not None and at_ms - last_ms > gap_ms:
            yield part
            part = []
        part.append((x, y))
        last_ms = at_ms
    yield part


def svg(width: int, height: float, label: str, body: str) -> str:
    """A figure as wide as its place."""
    return f'<svg viewBox="0 0 {width} {height:.0f}" role="img" aria-label="{escape(label, quote=True)}">{body}</svg>'


def spark(values: Sequence[int], width: int = 150, height: int = 24) -> str:
    """Columns without an axis."""
    high, each = max([*values, 1]), width / max(1, len(values))
    columns = "".join(
        f'<rect class="fi3" x="{at * each:.1f}" y="{height - 1 - max(value / high * (height - 2), 1.2):.1f}" '
        f'width="{max(each - 1, 1):.1f}" height="{max(value / high * (height - 2), 1.2):.1f}"/>'
        for at, value in enumerate(values)
        if value
    )
    base = f'<path class="ax2" d="M0 {height - 0.5}H{width}"/>'
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return f'<svg {size} aria-hidden="true">{columns}{base}</svg>'
