"""From records of the labelled log to what detectors see: errors from 0 to 1, never NaN."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from math import nan
from typing import Any, Final, NamedTuple, Self

import numpy as np

from freshet.contracts.arrays import Floats, Ints
from freshet.contracts.messages import Manifest, Outcomes
from freshet.detectors.alarm_of_finding import Recent
from freshet.detectors.detector import Minutes, Observed
from freshet.outcomes.outcome_rows import OutcomeRows

_SCALED_BY: Final = 500
"""How many rows of a regression are used to find the usual size of an error; detectors do not see these."""
_ROOM: Final = 2.0
"""Larger errors are capped: at this many times the error that 95 % of rows stay below."""


class LogRecord(NamedTuple):
    """A record of the labelled log and where it stands."""

    offset: int
    at_ms: int
    """When it was appended."""
    record: Outcomes


@dataclass(frozen=True, slots=True)
class ObservingState:
    """What observing needs to know of the records before."""

    row: int = 0
    """Rows in the labelled log so far."""
    epoch: int = -1
    """The newest epoch that has answered."""
    labels_ms: int = 0
    """The newest append time of a label."""
    scale: float = 0.0
    """What absolute errors of a regression are divided by; 0 until it is known."""
    sizes: tuple[float, ...] = ()
    """Absolute errors that the scale will be computed from."""
    refused: int = 0
    """How many first labels had an error of NaN, or were of a version that never was."""

    def values(self) -> dict[str, Any]:
        """For a checkpoint."""
        return asdict(self)

    @classmethod
    def of(cls, values: dict[str, Any]) -> Self:
        """The object that gave these values."""
        return cls(**{**values, "sizes": tuple(values["sizes"])})


def observe(
    state: ObservingState, records: Sequence[LogRecord], promises: Mapping[str, float | None]
) -> tuple[ObservingState, Observed, Recent]:
    """The state after these records, what detectors see of them, and the same rows as `Recent` keeps them.

    A version that is not among the promises never was: a stranger wrote its answers, and nobody sees them. Who read the
    records has checked their columns.
    """
    rows: list[tuple[Any, ...]] = [_nothing()]
    minutes: list[tuple[int, ...]] = []
    for _, alike in groupby(records, key=lambda one: (one.record.width, one.record.classes)):
        state, columns, more = _rows(state, list(alike), promises)
        rows.append(columns)
        minutes += more
    row, offset_of, error, promised, newcomer, partition, features_offset, epoch = (
        np.concatenate(columns) for columns in zip(*rows, strict=True)
    )
    entries = Minutes(*np.array(minutes, np.int64).reshape(-1, 7).T)
    observed = Observed(row, offset_of, error, promised, newcomer, entries)
    return state, observed, Recent(row, partition, features_offset, epoch, error)


def promise_of(manifest: Manifest) -> float | None:
    """The error on unseen data that a model was packed with: its metric `error`, `accuracy` or `mae`.

    Retraining writes `candidate.` before the names of what it measured on the rows it held out.
    """
    found = {name.removeprefix("candidate."): value for name, value in manifest.metrics.items()}
    if not manifest.classes:
        return found.get("mae")
    return found["error"] if "error" in found else 1 - found["accuracy"] if "accuracy" in found else None


def _rows(
    state: ObservingState, records: Sequence[LogRecord], promises: Mapping[str, float | None]
) -> tuple[ObservingState, tuple[Any, ...], list[tuple[int, ...]]]:
    """Of records of one shape the columns of those rows that measure something, and what they say of minutes."""
    rows = OutcomeRows.of_all([one.record for one in records])
    places = np.array([(one.offset, one.record.partition, one.record.rows) for one in records], np.int64)
    ends = np.cumsum(places[:, 2])
    offset, partition = np.repeat(places[:, :2], places[:, 2], axis=0).T
    newest_ms = np.maximum.accumulate(np.append(state.labels_ms, rows.labelled_ms))
    minutes = _minutes(records, state.row + ends - places[:, 2], newest_ms[ends])
    at = rows.first
    is_value = rows.scores.shape[1] == 1
    size = _sizes(rows, at) if is_value else (rows.answer[at] != rows.label[at]).astype(np.float64)
    known = np.array([name in promises for name in rows.versions] or [True])
    finite = np.isfinite(size) & known[rows.version[at]]
    first, refused = state.row, state.refused + int(np.count_nonzero(~finite))
    state = replace(state, row=first + len(rows), refused=refused, labels_ms=int(newest_ms[-1]))
    at, size = at[finite], size[finite]
    if is_value and not state.scale:
        state, at, size = _scaled(state, at, size)
    scale = state.scale if is_value else 1.0
    error = np.minimum(size / scale, 1.0) if scale else size
    epoch = rows.epoch[at]
    newest = np.maximum.accumulate(np.concatenate([[state.epoch], epoch]))
    promised = np.array([nan if (told := promises.get(name)) is None else told for name in rows.versions] or [nan])
    columns = (
        at + first,
        offset[at],
        error,
        np.where(rows.fallback[at] == 0, promised[rows.version[at]] / (scale or 1.0), nan),
        newest[1:] > newest[:-1],
        partition[at],
        rows.features_offset[at],
        epoch,
    )
    return replace(state, epoch=int(newest[-1])), columns, minutes


def _minutes(records: Sequence[LogRecord], firsts: Ints, labels_ms: Ints) -> list[tuple[int, ...]]:
    """More predictions and labelled ones of each minute, whatever was answered, as rows of `Minutes`."""
    entries: list[tuple[int, ...]] = []
    for (offset, at_ms, record), first, newest_ms in zip(records, firsts.tolist(), labels_ms.tolist(), strict=True):
        found: dict[int, tuple[int, int]] = {}
        for entry in record.minutes:
            predictions, labelled = found.get(entry.start_ms, (0, 0))
            found[entry.start_ms] = predictions + entry.predictions, labelled + entry.labelled
        entries += [(first, offset, at_ms, start_ms, *counts, newest_ms) for start_ms, counts in found.items()]
    return entries


def _sizes(rows: OutcomeRows, at: Ints) -> Floats:
    """Absolute errors of a regression."""
    with np.errstate(all="ignore"):
        sizes: Floats = np.abs(rows.scores[at, 0].astype(np.float64) - rows.truth[at])
        return sizes


def _scaled(state: ObservingState, at: Ints, size: Floats) -> tuple[ObservingState, Ints, Floats]:
    """The state, with the scale once enough rows came, and the rows that detectors may see."""
    taken = min(len(at), _SCALED_BY - len(state.sizes))
    sizes = (*state.sizes, *size[:taken].tolist())
    if len(sizes) < _SCALED_BY:
        return replace(state, sizes=sizes), at[taken:], size[taken:]
    scale = _ROOM * float(np.quantile(sizes, 0.95)) or 1.0
    return replace(state, sizes=(), scale=scale), at[taken:], size[taken:]


def _nothing() -> tuple[Any, ...]:
    """The columns of no rows."""
    whole, real = np.zeros(0, np.int64), np.zeros(0)
    return whole, whole, real, real, np.zeros(0, np.bool_), whole, whole, whole
