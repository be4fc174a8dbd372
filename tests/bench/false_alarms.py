"""How often detectors cry wolf, and how late they are: writes the tables in docs/detectors.md.

False alarms are counted as they would be told, with cool-downs, on streams whose error never changes, changes with the
season, or comes in runs. Delays are the rows from a change to the alarm. Takes about half a minute.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from river.drift import ADWIN

from freshet.contracts.arrays import Floats
from freshet.detectors.detector import Detector, Finding, Level, Minutes, Observed
from freshet.detectors.parts.adwin import AdwinDetector
from freshet.detectors.parts.labels import LabelsDetector
from freshet.detectors.parts.promise import PromiseDetector
from support.labelled_log import bernoulli, persistent, seasonal

ROWS: Final = 300_000
TRIALS: Final = 60
_CALM: Final = 5_000
_AFTER: Final = 5_000
_MINUTE_MS: Final = 60_000
_DAY_MINUTES: Final = 1440
LEVELS: Final[Sequence[Level]] = ("suspected", "detected")
DOCUMENT: Final = Path(__file__).parents[2] / "docs/detectors.md"
_BEGIN, _END = "<!-- made by `make false-alarms` -->", "<!-- end -->"


class Watcher(NamedTuple):
    """A detector, and the error that models promise to it; NaN for none."""

    name: str
    detector: Detector
    promised: float


class Stream(NamedTuple):
    """Errors without any change, and most alarms per 100,000 rows that are acceptable: about those of river's ADWIN."""

    name: str
    make: Callable[[], Floats]
    most: float


def watchers(before: float) -> Sequence[Watcher]:
    """The detectors of errors as pipelines have them by default."""
    return (
        Watcher("adwin", AdwinDetector(), np.nan),
        Watcher("promise, kept", PromiseDetector(), before),
        Watcher("promise, learned", PromiseDetector(), np.nan),
    )


STREAMS: Final = (
    Stream("independent, .2", lambda: bernoulli(1, ROWS, 0.2), 0.7),
    Stream("independent, .3", lambda: bernoulli(2, ROWS, 0.3), 0.7),
    Stream("in runs, rho .5", lambda: persistent(3, ROWS, 0.2, 0.5), 12),
    Stream("in runs, rho .9", lambda: persistent(4, ROWS, 0.2, 0.9), 341),
    Stream("season of 1,440 rows, .2 ± .05", lambda: seasonal(5, ROWS, 0.2, 0.05, 1440), 1.7),
    Stream("season of 20,000 rows, .2 ± .05", lambda: seasonal(6, ROWS, 0.2, 0.05, 20_000), 10),
)


def observed(errors: Floats, promised: float) -> Observed:
    """These errors, each row in a record of its own."""
    rows, no, none = np.arange(len(errors)), np.zeros(len(errors), np.bool_), np.zeros(0, np.int64)
    minutes = Minutes(none, none, none, none, none, none, none)
    return Observed(rows, rows, errors, np.full(len(errors), promised), no, minutes)


def told(detector: Detector, findings: Sequence[Finding]) -> dict[Level, list[int]]:
    """The rows of the alarms by level, as `freshet.detectors.watch` lets them through."""
    rows: dict[Level, list[int]] = {level: [] for level in LEVELS}
    for finding in findings:
        quiet = rows["detected"][-1:] + (rows["suspected"][-1:] if finding.level == "suspected" else [])
        if all(finding.test[1] >= row + detector.cool_down for row in quiet):
            rows[finding.level].append(finding.test[1])
    return rows


def alarms(watcher: Watcher, errors: Floats) -> dict[Level, list[int]]:
    """The rows of its alarms, by level."""
    detector = watcher.detector
    return told(detector, detector.rows(detector.begin(0), observed(errors, watcher.promised))[1])


@cache
def false_alarms() -> Mapping[tuple[str, str, Level], float]:
    """Per 100,000 rows, by stream, watcher and level."""
    found: dict[tuple[str, str, Level], float] = {}
    for stream in STREAMS:
        errors = stream.make()
        for watcher in watchers(float(errors.mean())):
            for level, rows in alarms(watcher, errors).items():
                found[stream.name, watcher.name, level] = len(rows) * 100_000 / len(errors)
    return found


def alone(errors: Floats) -> float:
    """What river's ADWIN alone raises per 100,000 of these rows."""
    adwin: Any = ADWIN()  # type: ignore[no-untyped-call]
    found = 0
    for error in errors.tolist():
        adwin.update(error)
        found += adwin.drift_detected
    return found * 100_000 / len(errors)


def delays(before: float, after: float, over: int) -> dict[tuple[str, Level], list[float]]:
    """Rows until the alarm of each trial, infinite where none came in time; the error rises over so many rows."""
    found: dict[tuple[str, Level], list[float]] = {}
    for trial in range(TRIALS):
        draw = np.random.default_rng(1000 + trial)
        rising = np.clip((np.arange(_CALM + over + _AFTER) - _CALM) / max(over, 1), 0, 1)
        errors = (draw.random(len(rising)) < before + (after - before) * rising).astype(np.float64)
        for watcher in watchers(before):
            for level, rows in alarms(watcher, errors).items():
                late = [row - _CALM for row in rows if row > _CALM]
                found.setdefault((watcher.name, level), []).append(late[0] if late else np.inf)
    return found


def label_alarms(share: Callable[[int], float], silent: range) -> dict[Level, list[int]]:
    """Minutes of the alarms of `labels` in four weeks of 50 predictions a minute; none is labelled in `silent`."""
    draw, count = np.random.default_rng(7), 28 * _DAY_MINUTES
    minute = np.arange(count)
    labelled = draw.binomial(50, [share(at) for at in range(count)])
    labelled[silent] = 0
    at_ms = (minute + 1) * _MINUTE_MS
    row = np.cumsum(labelled) - labelled
    heard_ms = np.maximum.accumulate(np.where(labelled > 0, at_ms, 0))
    full = np.full(count, 50)
    minutes = Minutes(row, minute, at_ms, minute * _MINUTE_MS, full, labelled, heard_ms)
    none, no = np.zeros(0), np.zeros(0, np.int64)
    detector = LabelsDetector(cool_down=0)
    _, findings = detector.rows(detector.begin(0), Observed(no, no, none, none, np.zeros(0, np.bool_), minutes))
    return {level: [one.offset for one in findings if one.level == level] for level in LEVELS}


def document() -> str:
    """The tables."""
    lines = [
        "### False alarms per 100,000 rows",
        "",
        "Suspected / detected. The last column is what river's ADWIN alone raises on the same rows.",
        "",
        "| stream | " + " | ".join(one.name for one in watchers(0)) + " | ADWIN alone |",
        "|---|" + "---|" * (len(watchers(0)) + 1),
    ]
    for stream in STREAMS:
        cells = [
            " / ".join(f"{false_alarms()[stream.name, one.name, level]:.1f}" for level in LEVELS) for one in watchers(0)
        ]
        lines.append(f"| {stream.name} | " + " | ".join(cells) + f" | {alone(stream.make()):.1f} |")
    lines += [
        "",
        f"### Rows from a change to the alarm: median of {TRIALS} trials, and the share without one in {_AFTER:,} rows",
        "",
        "| change | level | " + " | ".join(one.name for one in watchers(0)) + " |",
        "|---|---|" + "---|" * len(watchers(0)),
    ]
    for before, after, over in ((0.2, 0.25, 0), (0.2, 0.3, 0), (0.2, 0.4, 0), (0.05, 0.1, 0), (0.2, 0.4, 2000)):
        found = delays(before, after, over)
        for level in LEVELS:
            cells = [_delay(found[one.name, level]) for one in watchers(0)]
            how = f"over {over:,} rows" if over else "at once"
            lines.append(f"| {before} → {after} {how} | {level} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *_label_lines()])


def _delay(rows: Sequence[float]) -> str:
    missed = float(np.isinf(rows).mean())
    median = float(np.median(rows))
    return f"{'–' if np.isinf(median) else f'{median:,.0f}'} ({missed:.0%})"


def _label_lines() -> Sequence[str]:
    def steady(at: int) -> float:
        return 0.6

    def daily(at: int) -> float:
        return 0.6 + 0.05 * float(np.sin(2 * np.pi * at / _DAY_MINUTES))

    def fallen(at: int) -> float:
        return 0.6 if at < 20 * _DAY_MINUTES else 0.3

    begin = 20 * _DAY_MINUTES
    lines = ["### Labels: 50 predictions a minute, 60 % of them labelled; a change after 20 days of 28", ""]
    lines += ["Alarms before the change are false; without one, all are.", ""]
    lines += ["| stream | suspected | detected |", "|---|---|---|"]
    for name, share, silent in (
        ("steady", steady, range(0)),
        ("share ± .05 with the day", daily, range(0)),
        ("no label for two hours", steady, range(begin, begin + 120)),
        ("share falls to .3", fallen, range(0)),
    ):
        found, change = label_alarms(share, silent), begin if silent or share is fallen else 28 * _DAY_MINUTES
        lines.append(f"| {name} | " + " | ".join(_label_cell(found[level], change) for level in LEVELS) + " |")
    return lines


def _label_cell(minutes: Sequence[int], begin: int) -> str:
    """How many were false, and how late the first right one was."""
    false, right = [at for at in minutes if at < begin], [at for at in minutes if at >= begin]
    return f"{len(false)} before" + (f", then after {right[0] - begin} minutes" if right else "")


def main() -> int:
    """Write the tables; 1 if a stream has more false alarms than it may."""
    text, made = DOCUMENT.read_text(), document()
    head, _, rest = text.partition(_BEGIN)
    DOCUMENT.write_text(f"{head}{_BEGIN}\n\n{made}\n\n{_END}{rest.partition(_END)[2]}")
    print(made)  # noqa: T201
    most = {stream.name: stream.most for stream in STREAMS}
    bad = [(key, count) for key, count in false_alarms().items() if key[2] == "detected" and count > most[key[0]]]
    for (stream, watcher, level), count in bad:
        print(f"{watcher}: {count:.1f} {level} on {stream!r}, at most {most[stream]:g}", file=sys.stderr)  # noqa: T201
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
