"""Counts by the time of prediction, published once a range of time is complete.

Counted in the order in which labels come, a class whose labels come early would weigh too much.

Minutes are joined into ranges of 500 predictions. A range is complete when 80 % of its predictions are labelled, and
80 % of those that answered each class: else a rare class whose labels come late would be left out. Where no label can
come any more it is complete, too. This is checked with each record that brings predictions. What comes for the range
afterwards, corrections too, is not counted here.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

from freshet.contracts.messages import Minute
from freshet.quality.arrival import VERSION, Ready
from freshet.quality.counts import Counts

RANGE_PREDICTIONS: Final = 500
LABELLED_SHARE: Final = 0.8
LEAST_OF_ANSWER: Final = 20
"""A class that fewer predictions of a range answered is not waited for by itself."""
LEAST_ROWS: Final = 250
"""A version with fewer rows in a range gets no series of its own there; its rows count in `served`."""
MOST_VERSIONS: Final = 8
"""How many versions are counted in one range; later ones are not."""

_MINUTE_MS: Final = 60_000
_IDLE_MS: Final = 15 * _MINUTE_MS
"""A partition that is silent for this long while others go on is not waited for."""
_MOST_CELLS: Final = 1 << 15
"""Bounds how many ranges are open at a time, by the number of counts in each; beyond it, neighbours are joined."""


@dataclass(frozen=True, slots=True, eq=False)
class Range:
    """The predictions of [start, end), and what is known of them."""

    start_ms: int
    end_ms: int
    predictions: int = 0
    labelled: int = 0
    counts: Mapping[str, Counts] | None = None
    """By series; None for a range that was published already."""
    answered: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """Predictions and labelled ones by the class that they answered, where that is told."""

    @property
    def is_labelled(self) -> bool:
        """Whether enough is known of it."""
        parts = [(self.predictions, self.labelled)]
        parts += [part for part in self.answered.values() if part[0] >= LEAST_OF_ANSWER]
        return self.predictions >= RANGE_PREDICTIONS and all(done >= LABELLED_SHARE * asked for asked, done in parts)

    def with_minute(self, minute: Minute) -> "Range":
        """With what a record says of one of its minutes."""
        answered = self.answered
        if minute.answer >= 0:
            answered = _sums(answered, {minute.answer: (minute.predictions, minute.labelled)})
        predictions, labelled = self.predictions + minute.predictions, self.labelled + minute.labelled
        return Range(self.start_ms, self.end_ms, predictions, labelled, self.counts, answered)

    def with_next(self, later: "Range") -> "Range":
        """Both as one range. Either both were published, or neither."""
        counts = None
        if self.counts is not None and later.counts is not None:
            counts = dict(self.counts)
            for name, more in later.counts.items():
                counts[name] = counts[name] + more if name in counts else more
        predictions, labelled = self.predictions + later.predictions, self.labelled + later.labelled
        answered = _sums(self.answered, later.answered)
        return Range(self.start_ms, later.end_ms, predictions, labelled, counts, answered)


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """All open ranges, and the published ones between them, ascending."""

    ranges: tuple[Range, ...] = ()
    behind_ms: int = 0
    """The ranges before this time were all published."""
    reached_ms: Mapping[int, int] | None = None
    """The end of the newest minute of each partition."""

    @property
    def bounds(self) -> list[tuple[int, int, bool]]:
        """Begin and end of each range, and whether it was published."""
        return [(one.start_ms, one.end_ms, one.counts is None) for one in self.ranges]

    @property
    def passed_ms(self) -> int:
        """The time before which all predictions have arrived, as far as can be known."""
        newest = max(self.reached_ms.values(), default=0) if self.reached_ms else 0
        return min((at for at in (self.reached_ms or {}).values() if at >= newest - _IDLE_MS), default=0) - _MINUTE_MS


def told(state: Ranges, horizon_ms: int) -> tuple[Ranges, list[Ready]]:
    """Close the ranges that are complete by now, and return their counts."""
    passed, ready = state.passed_ms, list[Ready]()
    if not any(one.counts is not None and _is_done(one, passed, horizon_ms) for one in state.ranges):
        return state, ready
    found: list[Range] = []
    for one in state.ranges:
        if one.counts is None or not _is_done(one, passed, horizon_ms):
            found.append(one)
            continue
        for name in sorted(one.counts, key=_precedence):
            counts = one.counts[name]
            if not name.startswith(VERSION) or counts.rows >= LEAST_ROWS:
                of_all = name == "served" or name.startswith("baseline:")
                ready.append(Ready(name, replace(counts, predictions=one.predictions if of_all else 0)))
        found.append(replace(one, counts=None))
    behind = state.behind_ms
    while found and found[0].counts is None:
        behind = found.pop(0).end_ms
    kept: list[Range] = []
    for one in found:
        if kept and one.counts is None and kept[-1].counts is None:
            kept[-1] = kept[-1].with_next(one)
        else:
            kept.append(one)
    return replace(state, ranges=tuple(kept), behind_ms=behind), ready


def _is_done(one: Range, passed_ms: int, horizon_ms: int) -> bool:
    if one.end_ms > passed_ms:
        return False
    return one.is_labelled or one.end_ms + horizon_ms <= passed_ms


def _sums(some: Mapping[int, tuple[int, int]], more: Mapping[int, tuple[int, int]]) -> dict[int, tuple[int, int]]:
    found = dict(some)
    for answer, (predictions, labelled) in more.items():
        had = found.get(answer, (0, 0))
        found[answer] = had[0] + predictions, had[1] + labelled
    return found


def _precedence(series: str) -> tuple[bool, bool, str]:
    return series != "served", series.startswith("baseline:"), series


def extended(state: Ranges, partition: int, minutes: Sequence[Minute], *, classes: int, partitions: int) -> Ranges:
    """The ranges with a partition's counts of some minutes (at least one); complete small neighbours are joined."""
    minutes = sorted(minutes, key=lambda minute: minute.start_ms)
    reached = state.reached_ms or dict.fromkeys(range(partitions), minutes[0].start_ms)  # others may lag, or be idle
    newest = minutes[-1].start_ms + _MINUTE_MS
    if newest > reached.get(partition, 0):
        reached = dict(sorted({**reached, partition: newest}.items()))
    ranges = list(state.ranges)
    for minute in minutes:
        _count(ranges, minute, state.behind_ms)
    ranges = _put_together(ranges, Ranges(reached_ms=reached).passed_ms)
    most = min(max(_MOST_CELLS // (classes * classes + 128), 4), 32)
    while sum(one.counts is not None for one in ranges) > most and _join_smallest(ranges):
        pass
    return Ranges(tuple(ranges), state.behind_ms, reached)


def _count(ranges: list[Range], minute: Minute, behind_ms: int) -> None:
    """Add the minute to the range that contains it, or to a new one."""
    place = len(ranges)
    while place and ranges[place - 1].start_ms > minute.start_ms:
        place -= 1
    if place and minute.start_ms < ranges[place - 1].end_ms:
        ranges[place - 1] = ranges[place - 1].with_minute(minute)
    elif minute.start_ms >= behind_ms:
        ranges.insert(place, Range(minute.start_ms, minute.start_ms + _MINUTE_MS, counts={}).with_minute(minute))


def _put_together(ranges: Sequence[Range], passed_ms: int) -> list[Range]:
    found: list[Range] = []
    for one in ranges:
        before = found[-1] if found else None
        if before is None or before.counts is None or one.counts is None or one.end_ms > passed_ms:
            found.append(one)
        elif before.predictions < RANGE_PREDICTIONS:
            found[-1] = before.with_next(one)
        else:
            found.append(one)
    return found


def _join_smallest(ranges: list[Range]) -> bool:
    """Join the two open neighbours with the fewest predictions; False if no two neighbours are open."""
    pairs = [
        (one.predictions + later.predictions, place)
        for place, (one, later) in enumerate(pairwise(ranges))
        if one.counts is not None and later.counts is not None
    ]
    if not pairs:
        return False
    _, place = min(pairs)
    ranges[place : place + 2] = [ranges[place].with_next(ranges[place + 1])]
    return True


def without(state: Ranges, names: Collection[str]) -> Ranges:
    """The ranges without the counts of these series, whose names mean something else from now on."""
    ranges = [
        one
        if one.counts is None
        else replace(one, counts={name: counts for name, counts in one.counts.items() if name not in names})
        for one in state.ranges
    ]
    return replace(state, ranges=tuple(ranges))
