"""How often detectors of inputs cry wolf, and how late they are: writes the second tables in docs/detectors.md.

Rows go through the same frames, windows and cool-downs as a service's. A linear model of all features answers them.
Arguments: CSV files (.gz) of real streams, whose columns but the last are features, to count the alarms on as well.
Takes a minute or two.
"""

import csv
import gzip
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from river.datasets import synth

from bench.false_silences import silence_lines
from freshet.contracts.arrays import Floats
from freshet.contracts.messages import Alarm
from freshet.detectors.input_detector import InputDetector
from freshet.detectors.parts.answers import AnswersDetector
from freshet.detectors.parts.missing import MissingDetector
from freshet.detectors.parts.psi import PsiDetector
from freshet.detectors.parts.unusual import UnusualDetector
from freshet.detectors.parts.value_range import RangeDetector
from freshet.detectors.parts.wasserstein import WassersteinDetector
from support.frames import ProfileLog

ROWS: Final = 100_000
FEATURES: Final = 10
TRIALS: Final = 10
CHANGE: Final = 20_480
_AFTER: Final = 20_480
_DAY_S: Final = 86_400
_LEARNED: Final = 10_000
"""The model of the answers knows the usual values from so many rows."""
DETECTORS: Final[Sequence[InputDetector]] = (
    PsiDetector(),
    WassersteinDetector(),
    AnswersDetector(),
    MissingDetector(),
    RangeDetector(),
    UnusualDetector(),
)
LEVELS: Final = ("suspected", "detected")
DOCUMENT: Final = Path(__file__).parents[2] / "docs/detectors.md"
_BEGIN, _END = "<!-- inputs: made by `make false-alarms` -->", "<!-- end of inputs -->"
_MOST: Final = 3.0
"""So many detected alarms per 100,000 rows are acceptable where nothing changes: fewer than on errors in runs."""


class Stream(NamedTuple):
    """Rows without any change, and how many a second."""

    name: str
    make: Callable[[], Floats]
    rate: float = 100.0


def independent(seed: int = 1, rows: int = ROWS) -> Floats:
    """Ten normal features."""
    return np.random.default_rng(seed).normal(size=(rows, FEATURES))


def autocorrelated(rho: float) -> Floats:
    """Each value remembers the one before it."""
    noise: Floats = independent(2) * np.sqrt(1 - rho * rho)
    for at in range(1, len(noise)):
        noise[at] += rho * noise[at - 1]
    return noise


def seasonal(size: float, period: int) -> Floats:
    """All features move with the season."""
    found: Floats = independent(3) + size * np.sin(2 * np.pi * np.arange(ROWS) / period)[:, None]
    return found


def generated(stream: object, rows: int) -> Floats:
    """Rows of one of river's generators."""
    taken = islice(stream, rows)  # type: ignore[call-overload]
    return np.array([[float(value) for value in features.values()] for features, _ in taken])


STREAMS: Final = (
    Stream("independent", independent),
    Stream("autocorrelated, rho .5", lambda: autocorrelated(0.5)),
    Stream("autocorrelated, rho .9", lambda: autocorrelated(0.9)),
    Stream("season of 1,440 rows, ± .5 sd", lambda: seasonal(0.5, 1440)),
    Stream("season of a day with 20,000 rows, ± 1 sd", lambda: seasonal(1.0, 20_000), 20_000 / _DAY_S),
    Stream("river's Agrawal", lambda: generated(synth.Agrawal(seed=1), ROWS // 2)),
    Stream("river's LED, its concept drifts, its inputs do not", lambda: generated(synth.LEDDrift(seed=1), ROWS // 2)),
    Stream("river's SEA", lambda: generated(synth.SEA(seed=1), ROWS // 2)),
)
CHANGES: Final[Mapping[str, Callable[[Floats, int], None]]] = {
    "one of ten features moves by .25 sd": lambda rows, seed: _move(rows, 0.25),
    "one of ten features moves by .5 sd": lambda rows, seed: _move(rows, 0.5),
    "one of ten features moves by 1 sd": lambda rows, seed: _move(rows, 1.0),
    "one of ten features moves by 1 sd over 10,000 rows": lambda rows, seed: _move(rows, 1.0, over=10_000),
    "one of ten features doubles its spread": lambda rows, seed: _widen(rows),
    "5 % of one feature are missing": lambda rows, seed: _put(rows, seed, 0.05, np.nan),
    "5 % of one feature are 30": lambda rows, seed: _put(rows, seed, 0.05, 30.0),
    "all ten features move by .25 sd": lambda rows, seed: _move(rows, 0.25, columns=slice(None)),
}
_SURER: Final = "the same rows are answered more surely"
_SURER_BY: Final = 2.0
"""Log-odds are so many times as large."""


def log_odds(values: Floats) -> Floats:
    """What a linear model says of these rows, which weighs all features alike; at first mostly within ± 2."""
    first = values[:_LEARNED]
    usual = (values - np.nanmean(first, axis=0)) / np.maximum(np.nanstd(first, axis=0), 1e-9)
    found: Floats = np.clip(np.nan_to_num(usual), -10, 10).sum(axis=1) / np.sqrt(values.shape[1])
    return found


def alarms(values: Floats, rate: float = 100.0, odds: Floats | None = None) -> dict[str, list[Alarm]]:
    """What each detector raises on these rows, by its kind; with the answers of `log_odds` if no others are given."""
    log = ProfileLog(rate=rate)
    log.features(values)
    log.answers(1 / (1 + np.exp(-(log_odds(values) if odds is None else odds))))
    return {detector.kind: log.alarms(detector) for detector in DETECTORS}


def counted(stream: Stream) -> dict[str, dict[str, float]]:
    """Alarms per 100,000 rows, by detector and level."""
    values = stream.make()
    return {
        kind: {level: sum(one.level == level for one in told) * 1e5 / len(values) for level in LEVELS}
        for kind, told in alarms(values, stream.rate).items()
    }


def delays(change: Callable[[Floats, int], None] | None) -> dict[str, list[float]]:
    """Rows from the change to the alarm of level detected, infinite where none came; None changes answers alone."""
    found: dict[str, list[float]] = {}
    for trial in range(TRIALS):
        values = independent(100 + trial, CHANGE + _AFTER)
        if change is not None:
            change(values, trial)
        odds = log_odds(values)
        if change is None:
            odds[CHANGE:] *= _SURER_BY
        for kind, told in alarms(values, odds=odds).items():
            late = [one.test_to - CHANGE for one in told if one.level == "detected" and one.test_to > CHANGE]
            found.setdefault(kind, []).append(late[0] if late else np.inf)
    return found


def real(path: Path) -> Floats:
    """The features of a stream in a file."""
    data = path.read_bytes()
    lines = csv.reader((gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines())
    next(lines)
    return np.array([[float(text or "nan") for text in line[:-1]] for line in lines])


def false_lines() -> Iterator[str]:
    """The first table, and on stderr what is too much."""
    kinds = [detector.kind for detector in DETECTORS]
    yield "### Inputs: false alarms per 100,000 rows"
    yield ""
    yield f"Suspected / detected, of {FEATURES} features (river's generators have their own), windows of 1,024 rows."
    yield ""
    yield "| stream | " + " | ".join(kinds) + " |"
    yield "|---|" + "---|" * len(kinds)
    for stream in STREAMS:
        found = counted(stream)
        yield f"| {stream.name} | " + " | ".join(_pair(found[kind]) for kind in kinds) + " |"
        for kind in kinds:
            if found[kind]["detected"] > _MOST:
                print(f"{kind}: {found[kind]['detected']:.1f} on {stream.name!r}", file=sys.stderr)  # noqa: T201


def delay_lines() -> Iterator[str]:
    """The second table."""
    kinds = [detector.kind for detector in DETECTORS]
    yield f"### Inputs: rows from a change to a detected alarm: median of {TRIALS} trials, and the share without one"
    yield ""
    yield "| change | " + " | ".join(kinds) + " |"
    yield "|---|" + "---|" * len(kinds)
    for name, change in (*CHANGES.items(), (_SURER, None)):
        found = delays(change)
        yield f"| {name} | " + " | ".join(_delay(found[kind]) for kind in kinds) + " |"


def real_lines(paths: Sequence[Path]) -> Iterator[str]:
    """The third table: alarms in all, for nobody knows which of them are false."""
    kinds = [detector.kind for detector in DETECTORS]
    yield "### Inputs: alarms on real streams, as a replay sends them"
    yield ""
    yield "Suspected / detected, in all: their seasons are longer than any reference, so nobody knows which are false."
    yield ""
    yield "| stream | rows | " + " | ".join(kinds) + " |"
    yield "|---|---|" + "---|" * len(kinds)
    for path in paths:
        values = real(path)
        cells = [
            " / ".join(str(sum(one.level == level for one in told)) for level in LEVELS)
            for told in alarms(values).values()
        ]
        yield f"| {path.name.partition('.')[0]} | {len(values):,} | " + " | ".join(cells) + " |"


def main(arguments: Sequence[str]) -> None:
    """Write the tables; that of real streams stays where no file is given."""
    text = DOCUMENT.read_text()
    head, _, rest = text.partition(_BEGIN)
    before, _, behind = rest.partition(_END)
    kept = "### Inputs: alarms on real" + before.partition("### Inputs: alarms on real")[2].rstrip()
    told = "\n".join(real_lines([Path(name) for name in arguments])) if arguments else kept
    made = "\n".join([*false_lines(), "", *delay_lines(), "", *silence_lines(TRIALS), "", told])
    DOCUMENT.write_text(f"{head}{_BEGIN}\n\n{made}\n\n{_END}{behind}")
    print(made)  # noqa: T201


def _move(rows: Floats, by: float, over: int = 1, columns: int | slice = 3) -> None:
    late = by * np.clip(np.arange(len(rows) - CHANGE) / over, 0, 1)
    rows[CHANGE:, columns] += late if isinstance(columns, int) else late[:, None]


def _widen(rows: Floats) -> None:
    rows[CHANGE:, 3] *= 2


def _put(rows: Floats, seed: int, share: float, value: float) -> None:
    late = rows[CHANGE:, 3]
    late[np.random.default_rng(seed).random(len(late)) < share] = value


def _pair(found: Mapping[str, float]) -> str:
    return " / ".join(f"{found[level]:.1f}" for level in LEVELS)


def _delay(rows: Sequence[float]) -> str:
    missed, median = float(np.isinf(rows).mean()), float(np.median(rows))
    return f"{'–' if np.isinf(median) else f'{median:,.0f}'} ({missed:.0%})"


if __name__ == "__main__":
    main(sys.argv[1:])
