"""Counts in the order in which labels came: a record every 250 rows of a series."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.quality.counts import Counts
from freshet.quality.measures import Measures, added

EVERY_ROWS: Final = 250
OPEN_VERSIONS: Final = 16
"""How many versions are counted at a time. A new one replaces the one that has had no row for longest."""

VERSION: Final = "version:"


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """What a series has counted since its last record."""

    counts: Counts
    rows: int = 0
    """How many rows of the log these are, corrections included."""
    records: int = 0
    """How many records it has led to so far."""
    last_row: int = 0
    """Where in the log its last row is."""


class Ready(NamedTuple):
    """Counts that are to be published."""

    series: str
    counts: Counts


def arrived(
    open_series: Mapping[str, Series], measures: Measures, members: Mapping[str, Ints]
) -> tuple[dict[str, Series], list[Ready], list[Ready]]:
    """The series after these rows, the counts that became complete, in the order of rows, and those of dropped series.

    `members` gives the indexes of each series' rows in the measures; the series are in their order of precedence.
    """
    members = {name: at for name, at in members.items() if at.size}
    nothing = Counts.none(measures.classes)
    bases: list[Counts] = []
    groups: list[Ints] = []
    cuts: dict[str, tuple[int, int]] = {}
    for name, at in members.items():
        series = open_series.get(name, Series(nothing))
        numbers = (series.rows + np.arange(len(at))) // EVERY_ROWS
        groups.append(len(bases) + numbers)
        cuts[name] = (len(bases), (series.rows + len(at)) // EVERY_ROWS)
        bases += [series.counts] + [nothing] * int(numbers[-1])
    if not bases:
        return dict(open_series), [], []
    sums = added(bases, measures, np.concatenate(list(members.values())), np.concatenate(groups))
    ready = [
        Ready(name, counts) for name, (first, complete) in cuts.items() for counts in sums[first : first + complete]
    ]
    found = dict(open_series)
    for name, (first, complete) in cuts.items():
        series = open_series.get(name, Series(nothing))
        rows = (series.rows + len(members[name])) % EVERY_ROWS
        counts = sums[first + complete] if rows else nothing
        last_row = int(measures.row[members[name][-1]])
        found[name] = Series(counts, rows, series.records + complete, last_row)
    found, left = _without_the_longest_silent(found)
    return found, sorted(ready, key=lambda one: one.counts.end_row), left


def _without_the_longest_silent(series: dict[str, Series]) -> tuple[dict[str, Series], list[Ready]]:
    """What is left of a version that is dropped is published, unless it never had enough rows for one record."""
    versions = [name for name in series if name.startswith(VERSION)]
    if len(versions) <= OPEN_VERSIONS:
        return series, []
    versions.sort(key=lambda name: (series[name].last_row, name))
    gone = versions[: len(versions) - OPEN_VERSIONS]
    left = flushed(series, [name for name in gone if series[name].records])
    return {name: one for name, one in series.items() if name not in gone}, left


def flushed(series: Mapping[str, Series], names: Iterable[str]) -> list[Ready]:
    """What these series have counted since their last record, if anything."""
    return [Ready(name, series[name].counts) for name in names if series[name].rows]
