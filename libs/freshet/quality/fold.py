"""The evaluation of a labelled log: a fold over its records, one after the other.

The result depends on the log and the pipeline's specifications alone, so `freshet verify` runs the same fold to check
it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Evaluation, Outcomes
from freshet.outcomes.outcome_rows import OutcomeRows
from freshet.quality.arrival import VERSION, Ready, Series, arrived, flushed
from freshet.quality.closed import Ranges, extended, filled, told, without
from freshet.quality.known import Known, guesses
from freshet.quality.measures import Measures, guessed, served
from freshet.quality.setting import Setting

SERVED = "served"
SLICE = "slice:"


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What is known after some records of the log."""

    number: int
    """The highest specification number among these records. Its slices are counted from its first row on."""
    classes: int
    """How many classes the pipeline has; 0 for a regression."""
    rows: int
    """How many rows the log has had, including those that expired before they could be read."""
    next_row: Mapping[int, int]
    """By partition, `Outcomes.first_row` of its next record."""
    known: Known
    series: Mapping[str, Series]
    ranges: Ranges


def first_state() -> State:
    """The state before the first record."""
    nothing: Mapping[str, Series] = MappingProxyType({})
    return State(0, 0, 0, MappingProxyType({}), Known.nothing(), nothing, Ranges())


def step(
    state: State, record: Outcomes, offset: int, settings: Mapping[int, Setting]
) -> tuple[State, tuple[Evaluation, ...]]:
    """The state after this record, which is at that offset, and the evaluations that it completes.

    `settings` are by specification number and must have those of all records. Raises ContractError if the record does
    not follow on those before it, or does not hold what it says.
    """
    number = max(state.number, record.number)
    setting = settings[number]
    state = _counted(state, record)
    rows, first_row = OutcomeRows.of(record), state.rows - record.rows
    series, ranges, changed = state.series, state.ranges, list[Ready]()
    if number != state.number:
        gone = _changed_slices(series, settings.get(state.number), setting)
        changed = flushed(series, gone)
        series, ranges = {name: one for name, one in series.items() if name not in gone}, without(ranges, gone)
    known, measures, members = _measured(state.known, rows, first_row, setting)
    series, complete = arrived(series, measures, members)
    done: list[Ready] = []
    if record.minutes:
        ranges, done = told(ranges, setting.horizon_ms)
        ranges = extended(
            ranges,
            record.partition,
            record.minutes,
            classes=len(setting.classes),
            partitions=setting.partitions,
        )
    ranges = filled(ranges, measures, members)
    views = (("arrival", changed + complete), ("closed", done))
    said = tuple(
        one.counts.evaluation(record.pipeline, one.series, view, through=offset, classes=setting.classes)
        for view, found in views
        for one in found
    )
    return State(number, len(setting.classes), state.rows, state.next_row, known, series, ranges), said


def evaluations(records: Iterable[tuple[int, Outcomes]], settings: Mapping[int, Setting]) -> Iterator[Evaluation]:
    """All evaluations of a log, given its records with their offsets from the beginning."""
    state = first_state()
    for offset, record in records:
        state, said = step(state, record, offset, settings)
        yield from said


def _counted(state: State, record: Outcomes) -> State:
    """The state with the record's rows counted. What came before the first record of a partition has expired."""
    expected = state.next_row.get(record.partition)
    if expected is not None and record.first_row != expected:
        raise ContractError(
            f"of partition {record.partition} the record at hand begins with row {record.first_row}, where row "
            f"{expected} should come: records of the log are missing, or were written twice."
        )
    expired = record.first_row if expected is None else 0
    next_row = {**state.next_row, record.partition: record.first_row + record.rows}
    return replace(state, rows=state.rows + expired + record.rows, next_row=next_row)


def _changed_slices(series: Mapping[str, Series], old: Setting | None, new: Setting) -> list[str]:
    """Slices that were defined differently before: their counts are published, and they begin anew."""
    same = {SLICE + part.name for part in new.slices if old is not None and part in old.slices}
    return [name for name in sorted(series) if name.startswith(SLICE) and name not in same]


def _measured(
    known: Known, rows: OutcomeRows, first_row: int, setting: Setting
) -> tuple[Known, Measures, dict[str, Ints]]:
    """What is known after these rows, how good their answers were, and which of them each series has."""
    classes = len(setting.classes)
    if classes and len(rows) and (rows.label.min() < 0 or rows.label.max() >= classes):
        raise ContractError("an outcomes record has a class that the pipeline does not have.")
    known, baselines = guesses(known, rows, classes)
    counted = rows.counted
    measures = served(rows, counted, first_row, classes)
    own = np.arange(len(measures))
    members = {SERVED: own}
    names = sorted((name, code) for code, name in enumerate(rows.versions))
    members |= {VERSION + name: np.flatnonzero(measures.version == code) for name, code in names}
    values = rows.values[measures.row - first_row]
    members |= {SLICE + part.name: np.flatnonzero(part.holds(values)) for part in setting.slices}
    others, end = list[Measures](), len(measures)
    for name, answers in sorted(baselines.items()):
        at = counted[np.isfinite(answers[counted])]
        others.append(guessed(rows, at, first_row, classes, answers[at]))
        members[name] = np.arange(end, end + len(others[-1]))
        end += len(others[-1])
    return known, measures.then(*others), {name: at for name, at in members.items() if at.size}
