"""The main figure: lag, freshness, quality and the labelled share under each other, on one time axis.

Cut-overs to another champion go as lines through all of it, alarms as triangles; so what belongs together in time lies
above each other.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from freshet.console.core.axis import Axis, line, narrow, pieces, svg, text, wide
from freshet.console.core.mark_labels import LABELS_APART, alarm_groups, named_epochs
from freshet.console.core.marks import CutMark, Marks
from freshet.console.core.number_words import figure_words, lag_words, minute_words, percent_words, span_words
from freshet.console.core.rightness import Line, Rightness

_MINUTE_MS: Final = 60_000
MOST_CUTS: Final = 40
"""Of more cut-overs in view each is only a short mark in the top row."""
_MOST_ALARMS: Final = 24


@dataclass(frozen=True, slots=True)
class Course:
    """All that the figure shows."""

    marks: Marks
    lag: Mapping[int, float]
    """By minute, the longest wait in seconds."""
    right: Rightness


@dataclass(frozen=True, slots=True)
class _Panel:
    """A strip of the figure with values from low, at its foot, to high."""

    top: float
    foot: float
    low: float
    high: float

    def y(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1)
        return round(self.foot - min(1.0, max(0.0, share)) * (self.foot - self.top), 1)


def course_charts(course: Course) -> tuple[str, str]:
    """The figure for a wide page and for a narrow one."""
    since_ms, until_ms = course.marks.since_ms, course.marks.until_ms
    return _Figure(course, wide(since_ms, until_ms), small=False).drawn(), _Figure(
        course, narrow(since_ms, until_ms), small=True
    ).drawn()


class _Figure:
    def __init__(self, course: Course, axis: Axis, *, small: bool) -> None:
        self._course, self._axis, self._small = course, axis, small
        head = 22.0 if small else 0.0
        top = 46.0 if small else 52.0
        self._lag = _Panel(top + head, top + head + 46, 0, _high(list(course.lag.values()), 2.0))
        after = self._lag.foot + 16 + head
        self._fresh = _Panel(after, after + 46, 0, _high(self._ages_s(), 60.0))
        after = self._fresh.foot + 16 + head
        self._right = _Panel(after, after + 168, *_bounds(course.right))
        after = self._right.foot + 14 + head
        self._labelled = _Panel(after, after + 22, 0, 1)

    def drawn(self) -> str:
        panels = (self._lag, self._fresh, self._right, self._labelled)
        frame = "".join(
            f'<path class="ax2" d="M{self._axis.left} {panel.foot}H{self._axis.right}"/>'
            f'<path class="ax" d="M{self._axis.left} {panel.top}H{self._axis.right}"/>'
            for panel in panels
        )
        body = (
            *(self._unknown(), frame, self._cut_marks(), self._alarm_marks(), self._lag_line(), self._fresh_lines()),
            *(self._quality(), self._labelled_share(), self._axis.ticks(self._labelled.foot + 1)),
        )
        label = "Lag, freshness, quality and labelled share over time, with cut-overs and alarms"
        return svg(self._axis.width, self._labelled.foot + 22, label, "".join(body))

    def _words(self, y: float, name: str, value: str, kind: str = "t1") -> str:
        """A name and its value: to the right of the panels, or above them."""
        if self._small:
            return ""
        bold = {"tn": "tnb", "tw": "twb", "t3": "t3"}.get(kind, "tb")
        return text(self._axis.right + 14, y, name, kind) + text(self._axis.width, y, value, bold, "end")

    def _title(self, panel: _Panel, name: str, value: str) -> str:
        """On a narrow page, a line above a panel."""
        if not self._small:
            return ""
        return text(0, panel.top - 10, name, "t3 halo") + text(
            self._axis.width, panel.top - 10, value, "tb halo", "end"
        )

    def _tick(self, panel: _Panel, value: float, words: str) -> str:
        y = panel.y(value)
        left = self._axis.left
        return f'<path class="ax" d="M{left} {y}H{self._axis.right}"/>' + text(left - 6, y + 4, words, "t3", "end")

    def _unknown(self) -> str:
        """Hatched where no label can have told anything yet."""
        newest = self._course.right.newest_ms
        x = self._axis.x(newest) if newest else self._axis.left
        panel, wide = self._right, max(0.0, self._axis.right - x)
        return (
            f'<rect fill="url(#hatch)" opacity=".55" x="{x}" y="{panel.top}" width="{wide:.1f}" '
            f'height="{panel.foot - panel.top:.1f}"><title>not known yet: labels still arrive</title></rect>'
        )

    def _cut_marks(self) -> str:
        cuts, out = self._course.marks.cuts, list[str]()
        if len(cuts) > MOST_CUTS:
            strokes = "".join(f"M{self._axis.x(cut.at_ms)} 2V12" for cut in cuts)
            return f'<g><title>{len(cuts):,} epochs went live</title><path class="cut" d="{strokes}"/></g>'
        champion, named = cuts[-1].versions[:1] if cuts else (), named_epochs(cuts, self._axis)
        for cut in cuts:
            x = self._axis.x(cut.at_ms)
            kind = "ref2" if not cut.other else "cutn" if cut.versions[:1] == champion else "cut"
            foot = self._labelled.foot if cut.other else 26
            told = (
                f"epoch {cut.epoch} at {minute_words(cut.at_ms)}: {', '.join(cut.versions) or 'nobody'}, by {cut.cause}"
            )
            out.append(f'<g><title>{escape(told)}</title><path class="{kind}" d="M{x} 2V{foot}"/></g>')
            if cut.epoch in named:
                out.append(self._cut_words(cut, x, "tn" if kind == "cutn" else "t1" if cut.other else "t3"))
        return "".join(out)

    def _cut_words(self, cut: CutMark, x: float, kind: str) -> str:
        what = (cut.versions[0] if cut.versions else "nobody") if cut.other else cut.cause
        room = self._axis.width - x > LABELS_APART
        at, anchor = (x + 3, "start") if room else (x - 3, "end")
        return text(at, 10, f"e{cut.epoch}", f"{kind} halo", anchor) + text(at, 21, what[:14], f"{kind} halo", anchor)

    def _alarm_marks(self) -> str:
        alarms, out = self._course.marks.alarms[-_MOST_ALARMS:], []
        for alarm in alarms:
            x = self._axis.x(alarm.at_ms)
            kind = "fwm" if alarm.detected else "fww"
            told = escape(f"alarm {alarm.number} at {minute_words(alarm.at_ms)}: {alarm.text}")
            out.append(
                f'<a href="#alarm-{alarm.number}"><title>{told}</title>'
                f'<path class="since" d="M{x} 41V{self._labelled.foot}"/>'
                f'<path class="{kind}" stroke="var(--warn-mark)" d="M{x - 6} 41H{x + 6}L{x} 30Z"/></a>'
            )
        return "".join(out + [group.label(40, self._axis.width) for group in alarm_groups(alarms, self._axis)])

    def _lag_line(self) -> str:
        panel, out = (
            self._lag,
            [self._tick(self._lag, 0, "0"), self._tick(self._lag, self._lag.high, f"{self._lag.high:g} s")],
        )
        shown = sorted(
            (minute, value) for minute, value in self._course.lag.items() if minute * _MINUTE_MS >= self._axis.since_ms
        )
        points = [(minute * _MINUTE_MS, self._axis.x(minute * _MINUTE_MS), panel.y(value)) for minute, value in shown]
        out += [line("li", part) for part in pieces(points, 3 * _MINUTE_MS)]
        newest = lag_words(shown[-1][1]) if shown else "not measured yet"
        out.append(self._words(panel.top + 11, "lag, event to answer", newest))
        out.append(self._words(panel.top + 26, "since the console started", "", "t3"))
        return "".join([*out, self._title(panel, "lag, event to answer", newest)])

    def _ages_s(self) -> list[float]:
        return [(mark.until_ms - mark.trained_ms) / 1000 for mark in self._course.marks.fresh]

    def _fresh_lines(self) -> str:
        panel, fresh = self._fresh, self._course.marks.fresh
        out = [self._tick(panel, 0, "0"), self._tick(panel, panel.high, span_words(panel.high))]
        for mark in fresh:
            begin, end = ((at - mark.trained_ms) / 1000 for at in (mark.since_ms, mark.until_ms))
            places = [(self._axis.x(mark.since_ms), panel.y(begin)), (self._axis.x(mark.until_ms), panel.y(end))]
            out.append(line("li", places))
        answers = fresh[-1] if fresh and fresh[-1].answers_now else None
        newest = span_words((answers.until_ms - answers.trained_ms) / 1000) if answers else "not known"
        name = f"freshness {answers.version}" if answers else "freshness"
        out.append(self._words(panel.top + 11, name, newest))
        out.append(self._words(panel.top + 26, "since the newest label learned", "", "t3"))
        return "".join([*out, self._title(panel, name, newest)])

    def _quality(self) -> str:
        right, panel = self._course.right, self._right
        what = "accuracy" if right.classes else "mean error"
        ticks = [panel.low + (panel.high - panel.low) * share for share in (0, 0.25, 0.5, 0.75, 1)]
        out = [self._tick(panel, value, figure_words(value, classes=right.classes)) for value in ticks]
        if right.promise is not None:
            y = panel.y(right.promise)
            out.append(f'<path class="ref" d="M{self._axis.left} {y}H{self._axis.right}"/>')
        out += map(self._series, right.lines)
        out.append(self._quality_words(what))
        served = next((one.figure for one in right.lines if one.role == "served"), None)
        value = figure_words(served.value if served else None, classes=right.classes)
        return "".join([*out, self._title(panel, f"{what}, served", value)])

    def _series(self, one: Line) -> str:
        panel, x = self._right, self._axis.x
        mid = [(point.start_ms + point.end_ms) // 2 for point in one.points]
        places = [(at, x(at), panel.y(point.value)) for at, point in zip(mid, one.points, strict=True)]
        step_ms = one.points[0].end_ms - one.points[0].start_ms if one.points else 0
        kind = _LINES.get(one.role, "lold")
        gap_ms = max(6 * step_ms, _MINUTE_MS)
        drawn = "".join(line(kind, part) for part in pieces(places, gap_ms))
        if one.role != "served":
            return drawn
        band = [(at, point) for at, point in zip(mid, one.points, strict=True) if not math.isnan(point.interval[0])]
        upper = pieces([(at, x(at), panel.y(point.interval[1])) for at, point in band], gap_ms)
        lower = pieces([(at, x(at), panel.y(point.interval[0])) for at, point in band], gap_ms)
        edges = ([*above, *below[::-1]] for above, below in zip(upper, lower, strict=True))
        area = "".join(
            f'<polygon class="fw2" opacity=".8" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in edge)}"/>'
            for edge in edges
        )
        dots = "".join(f'<circle class="fi" cx="{a:.1f}" cy="{b:.1f}" r="1.9"/>' for _, a, b in places)
        return area + drawn + dots

    def _quality_words(self, what: str) -> str:
        """Names and newest values to the right, from the highest on, none over another."""
        right, panel = self._course.right, self._right
        classes = right.classes
        named = [
            (
                panel.y(one.figure.value),
                one.name,
                figure_words(one.figure.value, classes=classes),
                _KINDS.get(one.role, "t3"),
            )
            for one in right.lines
            if one.figure is not None and one.role != "other"
        ]
        if right.promise is not None:
            named.append((panel.y(right.promise), "promise", figure_words(right.promise, classes=classes), "t3"))
        out, last = [self._words(panel.top + 9, f"{what}, newest", "", "t3")], panel.top + 9
        for y, name, value, kind in sorted(named)[:9]:
            last = max(y + 4, last + 15)
            out.append(self._words(last, name, value, kind))
        return "".join(out)

    def _labelled_share(self) -> str:
        panel, x = self._labelled, self._axis.x
        told = [point for point in self._course.right.labelled if not math.isnan(point.labelled)]
        bars = "".join(
            f'<path class="fl" d="M{x(point.start_ms) + 0.5:.1f} {panel.foot}V{panel.y(point.labelled)}'
            f'H{max(x(point.start_ms) + 1.5, x(point.end_ms) - 0.5):.1f}V{panel.foot}Z"/>'
            for point in told
        )
        newest = percent_words(told[-1].labelled) if told else "not known yet"
        return (
            bars + self._words(panel.top + 11, "labelled share", newest) + self._title(panel, "labelled share", newest)
        )


_KINDS: Final = {"served": "t1", "champion": "t1", "challenger": "tn"}
_LINES: Final = {"served": "li", "champion": "li2", "challenger": "ln", "slice": "lsl", "baseline": "ref2"}


def _high(values: Sequence[float], least: float) -> float:
    """A round number above all of them."""
    high = max([*values, least])
    scale = 10.0 ** math.floor(math.log10(high))
    return float(next(one * scale for one in (1, 2, 3, 5, 8, 10) if one * scale >= high))


def _bounds(right: Rightness) -> tuple[float, float]:
    """From the lowest value to the highest, with some room."""
    values = [point.value for one in right.lines for point in one.points]
    values += [right.promise] if right.promise is not None else []
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    room = max(0.04 * (high - low), 0.005 if right.classes else 1e-9)
    return (max(0.0, low - room), min(1.0, high + room)) if right.classes else (low - room, high + room)
