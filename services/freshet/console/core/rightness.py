"""Is it right? Quality of what was served and of each version, beside the promise and what no model would have said."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from freshet.console.core.answer import SectionAnswer
from freshet.console.core.number_words import count_words, figure_words, percent_words
from freshet.console.core.quality_course import BASELINE, SERVED, VERSION, CoursePoint, Figure, QualityCourse, View
from freshet.contracts.messages import ModelVersion
from freshet.detectors.observing import promise_of
from freshet.ledger.ledger import PipelineLedger
from freshet.quality.fold import SLICE

_POINTS: Final = 72
_ENOUGH_ROWS: Final = 200
_SHORT_MS: Final = 3_600_000
_SLICES: Final = 6
"""Of more, `freshet quality` tells."""
_BASELINES: Final = {f"{BASELINE}no_change": "no change", f"{BASELINE}majority": "majority", f"{BASELINE}mean": "mean"}


@dataclass(frozen=True, slots=True)
class Line:
    """A series as it is drawn, and its newest figure."""

    name: str
    role: str
    """champion, challenger, served, slice, other, or baseline."""
    points: tuple[CoursePoint, ...]
    figure: Figure | None
    promise: float | None
    """What its model was published with, as the figure is told: an accuracy, or an error."""


@dataclass(frozen=True, slots=True)
class Rightness:
    """The section."""

    answer: SectionAnswer
    view: View
    classes: bool
    lines: tuple[Line, ...]
    labelled: tuple[CoursePoint, ...]
    """Of what was served, the ranges of time that are done: only of these it is told how many rows have a label."""
    promise: float | None
    """Of the champion."""
    newest_ms: int
    """Until when predictions are judged; 0 if none are."""


def rightness(
    ledger: PipelineLedger, quality: QualityCourse, slices: Sequence[str], since_ms: int, until_ms: int
) -> Rightness:
    """The section, with the course between these moments; `slices` are those that the pipeline declares now.

    Over hours it shows ranges of time that are done, which no class of late labels distorts; over minutes, and where no
    range is done yet, rows in the order in which their labels came.
    """
    is_short = until_ms - since_ms <= _SHORT_MS
    view: View = "arrival" if is_short or not quality.has(SERVED, "closed") else "closed"
    classes = bool(quality.classes)
    champion = ledger.epochs.serving
    promises = {version: _promise(record, classes=classes) for version, record in ledger.versions.records.items()}

    def line(series: str, name: str, role: str, promise: float | None = None) -> Line:
        points = quality.course(series, view, since_ms, until_ms, _POINTS)
        return Line(name, role, tuple(points), quality.newest(series, view), promise)

    lines = [line(SERVED, "served", "served", promises.get(champion))]
    answering = {share.version for share in ledger.epochs.live.table} if ledger.epochs.live else set()
    for series in quality.series(view)[::-1]:
        if not series.startswith(VERSION):
            continue
        version = series.removeprefix(VERSION)
        role = "champion" if version == champion else "challenger" if version in answering else "other"
        lines.append(line(series, version, role, promises.get(version)))
    lines += [line(SLICE + name, name, "slice") for name in slices[:_SLICES] if quality.has(SLICE + name, view)]
    lines += [
        line(series, _BASELINES.get(series, series.removeprefix(BASELINE)), "baseline")
        for series in sorted(quality.series(view))
        if series.startswith(BASELINE)
    ]
    newest = lines[0].figure
    promise = promises.get(champion)
    return Rightness(
        _answer(quality, lines, champion, promise),
        view,
        classes,
        tuple(lines),
        tuple(quality.course(SERVED, "closed", since_ms, until_ms, _POINTS)),
        promise,
        newest.end_ms if newest else 0,
    )


def _promise(record: ModelVersion, *, classes: bool) -> float | None:
    """As the figure is told: the promised error of a classification is 1 - accuracy."""
    error = promise_of(record.manifest)
    return None if error is None else 1 - error if classes else error


def _answer(quality: QualityCourse, lines: Sequence[Line], champion: str, promise: float | None) -> SectionAnswer:
    served = lines[0].figure
    if served is None:
        return SectionAnswer("wait", "Not known yet: no labels have met their predictions.", "no labels yet")
    classes = bool(quality.classes)
    value, told = figure_words(served.value, classes=classes), _told(served, classes=classes)
    if served.rows < _ENOUGH_ROWS:
        return SectionAnswer("wait", f"Too few labels to say: {told}.", f"{value}, too few")
    own = next((line.figure for line in lines if line.role == "champion"), None)
    if promise is None:
        return _against_nothing(lines, served, told, "The model was published without a promise.", classes=classes)
    if own is None or own.rows < _ENOUGH_ROWS:
        unknown = f"Of {champion} too few labels have come to hold it to its promise."
        return _against_nothing(lines, served, told, unknown, classes=classes)
    return _against_promise(own, _told(own, classes=classes), champion, promise, classes=classes)


def _told(figure: Figure, *, classes: bool) -> str:
    what = "accuracy" if classes else "mean error"
    labelled = "" if math.isnan(figure.labelled) else f", {percent_words(figure.labelled)} of them labelled"
    value = figure_words(figure.value, classes=classes)
    return f"{what} {value} in the last {count_words(figure.rows)} rows with a label{labelled}"


def _against_promise(own: Figure, told: str, champion: str, promise: float, *, classes: bool) -> SectionAnswer:
    """Whether the champion's own answers are as good as it promised; those of others are not its doing."""
    promised = figure_words(promise, classes=classes)
    brief = f"{figure_words(own.value, classes=classes)}, promise {promised}"
    low, high = own.interval
    if high < promise if classes else low > promise:
        return SectionAnswer("warn", f"Worse than promised: {told}; {champion} promised {promised}.", brief)
    if own.value >= promise if classes else own.value <= promise:
        return SectionAnswer("ok", f"Yes: {told}; {champion} promised {promised}.", brief)
    return SectionAnswer("ok", f"As promised, within what chance does: {told}; {champion} promised {promised}.", brief)


def _against_nothing(
    lines: Sequence[Line], served: Figure, told: str, no_promise: str, *, classes: bool
) -> SectionAnswer:
    """Whether it is better than what would have been said without a model; `no_promise` tells why that is asked."""
    value = figure_words(served.value, classes=classes)
    low, high = served.interval
    for line in lines:
        other = line.figure.value if line.role == "baseline" and line.figure is not None else None
        if other is not None and (high < other if classes else low > other):
            alone = figure_words(other, classes=classes)
            sentence = f"Worse than no model at all: {told}; {line.name} alone gives {alone}."
            return SectionAnswer("warn", sentence, f"{value}, {line.name} {alone}")
    return SectionAnswer("ok", f"{told[0].upper()}{told[1:]}. {no_promise}", value)
