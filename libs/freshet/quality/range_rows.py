"""Rows of many records into the ranges of prediction time, as if one record came after the other."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from itertools import pairwise

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.contracts.messages import Outcomes
from freshet.quality.arrival import VERSION, Ready
from freshet.quality.closed import MOST_VERSIONS, Range, Ranges, extended, told
from freshet.quality.counts import Counts
from freshet.quality.measures import Measures, added
from freshet.quality.setting import Setting


def passed(
    state: Ranges,
    records: Sequence[Outcomes],
    edges: Ints,
    measures: Measures,
    members: Mapping[str, Ints],
    *,
    setting: Setting,
) -> tuple[Ranges, list[tuple[int, Ready]]]:
    """The ranges after these records, and the counts that they close, each with the index of the record that did.

    `edges` are the first row of each record in the log, and the end of the last one; `members` as in `arrived`. A row
    is counted in one of the ranges that its own record leaves: rows are counted together until a range comes or goes.
    """
    ready: list[tuple[int, Ready]] = []
    counted = 0
    for index, record in enumerate(records):
        if not record.minutes:
            continue
        after, closed = _moved(state, record, setting)
        if counted < index and after.bounds != state.bounds:
            state = _counted(state, edges[counted : index + 1], measures, members)
            counted, (after, closed) = index, _moved(state, record, setting)
        state = after
        ready += [(index, one) for one in closed]
    return _counted(state, edges[counted:], measures, members), ready


def _moved(state: Ranges, record: Outcomes, setting: Setting) -> tuple[Ranges, list[Ready]]:
    """The ranges after what a record says of minutes, and the counts that it closes; its rows are not counted yet."""
    state, ready = told(state, setting.horizon_ms)
    classes, partitions = len(setting.classes), setting.partitions
    return extended(state, record.partition, record.minutes, classes=classes, partitions=partitions), ready


def _counted(state: Ranges, edges: Ints, measures: Measures, members: Mapping[str, Ints]) -> Ranges:
    """The ranges with the rows between these edges counted."""
    names = {name for name in members if name.startswith(VERSION)}
    together = len(names) <= MOST_VERSIONS and all(_has_room(one, names) for one in state.ranges)
    for first, end in pairwise((edges[[0, -1]] if together else edges).tolist()):
        parts = {name: at[slice(*np.searchsorted(measures.row[at], (first, end)))] for name, at in members.items()}
        state = filled(state, measures, {name: at for name, at in parts.items() if at.size})
    return state


def _has_room(one: Range, names: Set[str]) -> bool:
    """Whether all of these versions can be counted in the range, or no new one: else it matters which comes first."""
    known = {name for name in one.counts or () if name.startswith(VERSION)}
    return not 0 < MOST_VERSIONS - len(known) < len(names - known)


def filled(state: Ranges, measures: Measures, members: Mapping[str, Ints]) -> Ranges:
    """The ranges with these rows counted, each in that of its prediction; `members` as in `arrived`."""
    if not state.ranges or not len(measures):
        return state
    ranges = list(state.ranges)
    starts, ends = (np.array([getattr(one, name) for one in ranges]) for name in ("start_ms", "end_ms"))
    place = np.searchsorted(starts, measures.predicted_ms, side="right") - 1
    is_open = np.array([one.counts is not None for one in ranges])
    inside = (place >= 0) & (measures.predicted_ms < ends[place]) & is_open[place]
    bases: list[Counts] = []
    places: list[Ints] = []
    groups: list[Ints] = []
    targets: list[tuple[int, str]] = []
    nothing = Counts.none(measures.classes)
    for name, rows in members.items():
        at = rows[inside[rows]]
        there = np.flatnonzero(np.bincount(place[at], minlength=len(ranges)))
        there = there[[_takes(ranges[index], name) for index in there.tolist()]] if there.size else there
        codes = np.full(len(ranges), -1, np.int64)
        codes[there] = len(bases) + np.arange(len(there))
        group = codes[place[at]]
        places.append(at[group >= 0])
        groups.append(group[group >= 0])
        for index in there.tolist():
            bases.append((ranges[index].counts or {}).get(name, nothing))
            targets.append((index, name))
            ranges[index] = _with(ranges[index], name, bases[-1])
    if not bases:
        return state
    sums = added(bases, measures, np.concatenate(places), np.concatenate(groups))
    for (index, name), counts in zip(targets, sums, strict=True):
        ranges[index] = _with(ranges[index], name, counts)
    return replace(state, ranges=tuple(ranges))


def _with(one: Range, series: str, counts: Counts) -> Range:
    return replace(one, counts={**(one.counts or {}), series: counts})


def _takes(one: Range, series: str) -> bool:
    """Whether the range has room for a series."""
    assert one.counts is not None
    if series in one.counts or not series.startswith(VERSION):
        return True
    return sum(name.startswith(VERSION) for name in one.counts) < MOST_VERSIONS
