"""The evaluation of a labelled log: a fold over its records, of which it takes many at once.

The result depends on the log and the pipeline's specifications alone, so `freshet verify` runs the same fold to check
it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.contracts.errors import ContractError
from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.messages import Outcomes
from freshet.outcomes.outcome_rows import OutcomeRows
from freshet.quality.arrival import OPEN_VERSIONS, VERSION, Ready, Series, arrived, flushed
from freshet.quality.closed import Ranges, without
from freshet.quality.known import Known, guesses
from freshet.quality.measures import Measures, guessed, served
from freshet.quality.range_rows import passed
from freshet.quality.setting import Setting

SERVED = "served"
SLICE = "slice:"
_MOST_ROWS: Final = 8192
"""So many rows are counted together: with more a row costs no less."""


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
) -> tuple[State, list[Evaluation]]:
    """`steps` for one record."""
    return steps(state, [(offset, record)], settings)


def steps(
    state: State, records: Sequence[tuple[int, Outcomes]], settings: Mapping[int, Setting]
) -> tuple[State, list[Evaluation]]:
    """The state after these records, each with its offset, and the evaluations that they complete, in order.

    However the records are cut, the same is said in the end, and of the same offset. `settings` are by specification
    number and must have those of all records. Who read the records has checked their columns. Raises ContractError if a
    record does not follow on those before it, or does not hold what it says.
    """
    said: list[Evaluation] = []
    for run in _runs(state, records):
        alone = len(run) > 1 and not _has_room(state, run)
        for part in [[one] for one in run] if alone else [run]:
            state, more = _folded(state, part, settings)
            said += more
    return state, said


def _runs(state: State, records: Sequence[tuple[int, Outcomes]]) -> Iterator[list[tuple[int, Outcomes]]]:
    """The records in pieces whose rows can be counted together: of one specification and shape, numbered on."""
    run: list[tuple[int, Outcomes]] = []
    number, rows, before = state.number, 0, (0, 0, 0)
    partitions = set(state.next_row)
    for offset, record in records:
        number, rows = max(number, record.number), rows + record.rows
        shape = (number, record.width, record.classes)
        expired = record.first_row and record.partition not in partitions
        if run and (shape != before or expired or rows > _MOST_ROWS):
            yield run
            run, rows = [], record.rows
        partitions.add(record.partition)
        run.append((offset, record))
        before = shape
    if run:
        yield run


def _has_room(state: State, run: Sequence[tuple[int, Outcomes]]) -> bool:
    """Whether all versions can be counted: else it matters which of these records drops one."""
    names = {VERSION + name for _, record in run for name in record.versions}
    return len(names.union(name for name in state.series if name.startswith(VERSION))) <= OPEN_VERSIONS


def _folded(
    state: State, run: Sequence[tuple[int, Outcomes]], settings: Mapping[int, Setting]
) -> tuple[State, list[Evaluation]]:
    """`steps` for a run."""
    records = [record for _, record in run]
    number = max(state.number, records[0].number)
    setting = settings[number]
    state = _counted(state, records)
    rows = OutcomeRows.of_all(records)
    first_row = state.rows - len(rows)
    edges = first_row + np.cumsum([0, *(record.rows for record in records)])
    series, ranges, changed = state.series, state.ranges, list[Ready]()
    if number != state.number:
        gone = _changed_slices(series, settings.get(state.number), setting)
        changed = flushed(series, gone)
        series, ranges = {name: one for name, one in series.items() if name not in gone}, without(ranges, gone)
    known, measures, members = _measured(state.known, rows, first_row, setting)
    series, complete, dropped = arrived(series, measures, members)
    ranges, closed = passed(ranges, records, edges, measures, members, setting=setting)
    at = (np.searchsorted(edges, [one.counts.end_row for one in complete]) - 1).tolist()
    ready = [(0, "arrival", one) for one in changed]
    ready += [(index, "arrival", one) for index, one in zip(at, complete, strict=True)]
    ready += [(len(run) - 1, "arrival", one) for one in dropped]
    ready += [(index, "closed", one) for index, one in closed]
    said = [
        one.counts.evaluation(records[0].pipeline, one.series, view, through=run[index][0], classes=setting.classes)
        for index, view, one in sorted(ready, key=lambda found: found[:2])
    ]
    return State(number, len(setting.classes), state.rows, state.next_row, known, series, ranges), said


def evaluations(records: Iterable[tuple[int, Outcomes]], settings: Mapping[int, Setting]) -> Iterator[Evaluation]:
    """All evaluations of a log, given its records with their offsets from the beginning."""
    state = first_state()
    for offset, record in records:
        state, said = step(state, record, offset, settings)
        yield from said


def _counted(state: State, records: Sequence[Outcomes]) -> State:
    """The state with the records' rows counted. What came before the first record of a partition has expired."""
    rows, next_row = state.rows, dict(state.next_row)
    for record in records:
        expected = next_row.get(record.partition)
        if expected is not None and record.first_row != expected:
            raise ContractError(
                f"of partition {record.partition} the record at hand begins with row {record.first_row}, where row "
                f"{expected} should come: records of the log are missing, or were written twice."
            )
        rows += record.rows + (record.first_row if expected is None else 0)
        next_row[record.partition] = record.first_row + record.rows
    return replace(state, rows=rows, next_row=next_row)


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
