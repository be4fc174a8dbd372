"""How often `stale` cries wolf, and how late it is: four weeks of rows in three partitions, frame by frame.

Times are all that counts here, so frames hold nothing but when their rows came. They are written when they are over,
as a service does: with the first row of another hour.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np

from freshet.contracts.arrays import Floats
from freshet.detectors.input_detector import InputFinding
from freshet.detectors.parts.stale import StaleDetector
from freshet.profiles.frame_records import PlacedFrame
from support.frames import START_MS, ProfileLog

HOURS: Final = 28 * 24
CHANGE: Final = 20 * 24 + 7
"""The hour at which a change comes, if one does."""
PARTITIONS: Final = 3
_HOUR_MS: Final = 3_600_000
_KINDS: Final = ("features", "answers")
_DAY: Final = 24
_NIGHT: Final = 8

Hours = dict[tuple[str, int], Floats]
"""By kind and partition, the hours at which rows came, ascending."""


def steady(seed: int, a_minute: Mapping[int, float] | None = None) -> Hours:
    """So many rows a minute in each partition, by chance; one by default. Each is answered at once."""
    chance, found = np.random.default_rng(seed), Hours()
    for partition in range(PARTITIONS):
        rate = (a_minute or {}).get(partition, 1.0) * 60
        times = np.sort(chance.uniform(0, HOURS, size=chance.poisson(rate * HOURS)))
        found |= {(kind, partition): times for kind in _KINDS}
    return found


def resting(hours: Hours) -> Hours:
    """The same without any row at night."""
    return {key: times[times % _DAY >= _NIGHT] for key, times in hours.items()}


def without(hours: Hours, gone: Callable[[str, int], bool], until: float = HOURS) -> Hours:
    """The same without the rows of some inputs from the change on, or up to an hour."""
    return {key: times[(times < CHANGE) | (times >= until)] if gone(*key) else times for key, times in hours.items()}


AHEAD: Final = ("features", 1)
"""The input whose producer's clock may be wrong."""
STREAMS: Final[Mapping[str, Callable[[int], Hours]]] = {
    "steady": steady,
    "one partition has a row in ten minutes": lambda seed: steady(seed, {2: 0.1}),
    "one partition has a row in two hours": lambda seed: steady(seed, {2: 1 / 120}),
    "eight hours of rest each night": lambda seed: resting(steady(seed)),
    "a partition stops": lambda seed: without(steady(seed), lambda kind, partition: partition == 1),
    "answers stop": lambda seed: without(steady(seed), lambda kind, partition: kind == "answers"),
    "everything stops for a day": lambda seed: without(steady(seed), lambda kind, partition: True, CHANGE + _DAY),
}
WITH_CLOCK_AHEAD: Final[Mapping[str, Callable[[int], Hours]]] = {
    "one producer's clock is a day ahead": steady,
    "one producer's clock is a day ahead, and a partition stops": lambda seed: without(
        steady(seed), lambda kind, partition: partition == 2
    ),
}
"""The clock is wrong from the change on."""


def frames(hours: Hours) -> list[PlacedFrame]:
    """A frame for each hour with rows of each input, in the order in which they are over."""
    log = ProfileLog(rows=1)
    log.features(np.zeros((1, 1)))
    bare, found = log.frames[0].frame, list[PlacedFrame]()
    for (kind, partition), times in hours.items():
        ends = [*(np.flatnonzero(np.diff(times.astype(np.int64))) + 1).tolist()]
        for first, end in zip([0, *ends[:-1]], ends, strict=True):
            came = {"first_ms": _at_ms(times[first]), "last_ms": _at_ms(times[end - 1])}
            frame = bare.model_copy(update={"kind": kind, "partition": partition, "rows": end - first, **came})
            found.append(PlacedFrame(0, _at_ms(times[end]), frame))
    return sorted(found, key=lambda one: one.at_ms)


def ahead(log: list[PlacedFrame]) -> list[PlacedFrame]:
    """The same, but from the change on the rows of one input say that they came a day later than they did."""
    return [
        PlacedFrame(offset, at_ms, frame.model_copy(update={"first_ms": first_ms, "last_ms": first_ms + length_ms}))
        for offset, at_ms, frame in log
        for length_ms in [frame.last_ms - frame.first_ms]
        for is_wrong in [(frame.kind, frame.partition) == AHEAD and frame.first_ms >= _at_ms(CHANGE)]
        for first_ms in [frame.first_ms + is_wrong * _DAY * _HOUR_MS]
    ]


def told(log: list[PlacedFrame]) -> Iterator[tuple[float, InputFinding]]:
    """At which hour what is found."""
    detector = StaleDetector()
    state = detector.begin()
    for row, placed in enumerate(log):
        state, found = detector.frame(state, placed, row)
        for one in found:
            yield (placed.at_ms - START_MS) / _HOUR_MS, one


def silence_lines(trials: int) -> Iterator[str]:
    """The table: false alarms of one trial, and the delay's median over all of them."""
    yield f"### Silence: {HOURS // _DAY} days of rows in three partitions; a change after {CHANGE // _DAY} days"
    yield ""
    yield f"What `stale` tells without a change, or before it, is false. Means of {trials} trials; delays: medians."
    yield ""
    yield "| stream | suspected | detected |"
    yield "|---|---|---|"
    for name, make in {**STREAMS, **WITH_CLOCK_AHEAD}.items():
        logs = [frames(make(trial)) for trial in range(trials)]
        heard = [list(told(ahead(log) if name in WITH_CLOCK_AHEAD else log)) for log in logs]
        cells = [
            _cell(
                [[hour for hour, one in found if one.finding.level == level] for found in heard], changes="stop" in name
            )
            for level in ("suspected", "detected")
        ]
        yield f"| {name} | " + " | ".join(cells) + " |"


def _cell(hours: list[list[float]], *, changes: bool) -> str:
    """Of the hours at which alarms came in each trial."""
    if not changes:
        return f"{np.mean([len(found) for found in hours]):.1f}"
    early = np.mean([sum(hour < CHANGE for hour in found) for found in hours])
    late = float(np.median([next((hour - CHANGE for hour in found if hour >= CHANGE), np.inf) for found in hours]))
    return f"{early:.1f} before, then " + ("none" if np.isinf(late) else f"after {late:.1f} hours")


def _at_ms(hour: float) -> int:
    return START_MS + int(hour * _HOUR_MS)
