"""Marks of the main figure: what lies close together is named together, and no label lies under a mark."""

import re
from typing import NamedTuple

from freshet.console.core.course_chart import Course, course_charts
from freshet.console.core.marks import AlarmMark, CutMark, Marks
from support.console import MINUTE_MS, NOW_MS, flowing_world

SINCE_MS = NOW_MS - 5 * MINUTE_MS


class Label(NamedTuple):
    """Words of the figure, and from where to where they reach."""

    words: str
    begin: float
    end: float


def labels(chart: str, kind: str) -> list[Label]:
    """All of that kind, from left to right."""
    found = []
    for x, anchor, words in re.findall(
        rf'<text class="{kind}" x="([\d.]+)" y="[\d.]+"( text-anchor="end")?>([^<]+)<', chart
    ):
        wide = 7.0 * len(words)
        found.append(Label(words, float(x) - wide, float(x)) if anchor else Label(words, float(x), float(x) + wide))
    return sorted(found, key=lambda one: one.begin)


def triangles(chart: str) -> list[tuple[float, float]]:
    """From where to where each alarm's mark reaches."""
    return [(float(at), float(to)) for at, to in re.findall(r'd="M([\d.]+) 41H([\d.]+)L', chart)]


def charts(cuts: tuple[CutMark, ...] = (), alarms: tuple[AlarmMark, ...] = ()) -> tuple[str, str]:
    """The figure with these marks, wide and narrow."""
    right = flowing_world().screen().right
    return course_charts(Course(Marks(SINCE_MS, NOW_MS, cuts, (), alarms), {}, right))


def test_alarms_that_lie_close_together_have_one_label_that_nothing_covers() -> None:
    """It names the first and the last of them; at the right end it stands before them."""
    seconds = [10, 12, 13, 60, 180, 181, 182, 184, 200, 299, 300]
    alarms = tuple(AlarmMark(SINCE_MS + at * 1000, number, True, "text") for number, at in enumerate(seconds, 1))
    wide, narrow = charts(alarms=alarms)
    assert [one.words for one in labels(wide, "twb halo")] == ["1–3", "4", "5–8", "9", "10–11"]
    assert [one.words for one in labels(narrow, "twb halo")][-1] == "10–11"
    for chart, width in ((wide, 1016), (narrow, 362)):
        marks = triangles(chart)
        assert len(marks) == len(alarms)
        for label in labels(chart, "twb halo"):
            assert label.end <= width
            assert all(label.end <= begin or end <= label.begin for begin, end in marks), label


def test_who_answers_is_named_before_settings_are() -> None:
    """A pause a moment before a rollback does not take its label."""

    def cut(epoch: int, at_s: int, version: str, cause: str, *, other: bool) -> CutMark:
        return CutMark(SINCE_MS + at_s * 1000, epoch, (version,), cause, other)

    cuts = (
        cut(1, 20, "1.0.0", "promote", other=True),
        cut(2, 60, "1.1.0", "gated", other=True),
        cut(3, 78, "1.1.0", "pause", other=False),
        cut(4, 80, "1.0.0", "rollback", other=True),
        cut(5, 200, "1.0.0", "pause", other=False),
    )
    wide, _ = charts(cuts)
    assert re.findall(r">(e\d+)<", wide) == ["e1", "e2", "e4", "e5"]
