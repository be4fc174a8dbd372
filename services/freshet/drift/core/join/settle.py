"""Labels that met their predictions: which of them count, and which rows of the labelled log that gives."""

from typing import NamedTuple

import numpy as np

from freshet.contracts.arrays import Bools, Ints
from freshet.drift.core.join.join_rows import (
    ABSENT_REVISION,
    MARK,
    NO_LABEL,
    NO_PAIRS,
    PAIR,
    Plans,
    Table,
    copied,
)
from freshet.outcomes.outcome_rows import ABSENT, FIRST, KNOWN_BEFORE, REVISED

_LOWEST = 1 << 31


class Settled(NamedTuple):
    """What labels led to: the pairs, the new marks of `changed` rows, and how many labels became what."""

    pairs: Table
    changed: Ints
    marks: Table
    counts: dict[str, int]
    firsts: Ints
    """Rows that have a label now and had none before."""


def settle(rows: Ints, labels: Table, asked: Table, marks: Table, plans: Plans) -> Settled:
    """Labels, each with its prediction's number, row and mark, sorted by (number, label offset).

    A label counts if its revision is above all before it. The first one gives a row of +1, a later one -1 for the old
    and +1 for the new. Where the absence of a label is one, it comes before a label that is later than that.
    """
    in_time = labels["time_ms"] - asked["time_ms"] <= plans.horizon[labels["plan"]]
    late = int(in_time.size - np.count_nonzero(in_time))
    if late:
        rows = rows[in_time]
        labels, asked, marks = (table.compress(in_time) for table in (labels, asked, marks))
    if rows.size == 0:
        return Settled(NO_PAIRS, rows, marks, {"late": late}, rows)
    met = _Met.of(rows, labels, asked, marks, plans)
    before, counts = _before(met, _with_absent(marks, met, plans))
    counting = np.flatnonzero(counts)
    last = counting[np.append(rows[counting][1:] != rows[counting][:-1], True)] if counting.size else counting
    first = before["revision"] == NO_LABEL
    found = {
        "late": late,
        "superseded": int(counts.size - counting.size),
        "matched": int(np.count_nonzero(first[counting])),
        "revised": int(np.count_nonzero(~first[counting])),
        "known_before": int(np.count_nonzero(met.known[counting])),
        "absent": int(np.count_nonzero(met.implied)),
    }
    firsts = rows[np.flatnonzero(met.implied | (counts & first))]
    return Settled(
        _pairs(met, before, counts, plans), rows[last], _marks(labels.take(last), met.known[last]), found, firsts
    )


def absent(rows: Ints, asked: Table, plans: Plans) -> Settled:
    """These predictions have no label, and no label is one."""
    pairs = np.zeros(rows.size, PAIR)
    _fill_absent(pairs, rows, asked, plans)
    marks = np.zeros(rows.size, MARK)
    marks["value"], marks["revision"] = pairs["value"], ABSENT_REVISION
    return Settled(pairs, rows, marks, {"absent": rows.size}, rows)


class _Met(NamedTuple):
    """Labels and their predictions. `fresh`: the first label of its prediction here; `known`: before it was asked;
    `implied`: the prediction was without label for so long that this is its first one.
    """

    rows: Ints
    labels: Table
    asked: Table
    fresh: Bools
    known: Bools
    implied: Bools

    @classmethod
    def of(cls, rows: Ints, labels: Table, asked: Table, marks: Table, plans: Plans) -> "_Met":
        fresh = np.append(True, rows[1:] != rows[:-1])
        delta_ms = labels["time_ms"] - asked["time_ms"]
        overdue = delta_ms > plans.absent_after[asked["plan"]]
        return cls(rows, labels, asked, fresh, delta_ms <= 0, fresh & overdue & (marks["revision"] == NO_LABEL))

    @property
    def group(self) -> Ints:
        """Counts the predictions."""
        return np.cumsum(self.fresh) - 1


def _with_absent(marks: Table, met: _Met, plans: Plans) -> Table:
    """The marks as if the absent labels had been read first."""
    if not met.implied.any():
        return marks
    marks = copied(marks)
    of_group = np.isin(met.group, met.group[met.implied])
    marks["value"][of_group] = plans.means[met.asked["plan"][of_group]]
    marks["revision"][of_group] = ABSENT_REVISION
    return marks


def _before(met: _Met, marks: Table) -> tuple[Table, Bools]:
    """The mark that each label finds, and whether it counts."""
    revision = met.labels["revision"].astype(np.int64)
    if met.fresh.all():
        return marks, revision > marks["revision"]
    group = met.group
    base = group << 34  # a running maximum inside each group
    shifted = base + np.maximum(revision, marks["revision"]) + _LOWEST + 1
    held = np.maximum.accumulate(shifted) - base - _LOWEST - 1
    counts = revision > np.where(met.fresh, marks["revision"], np.append(NO_LABEL, held[:-1]))
    holder = np.append(-1, np.maximum.accumulate(np.where(counts, np.arange(revision.size), -1))[:-1])
    inside = (holder >= 0) & (group[holder] == group)
    before = copied(marks)
    before["value"][inside] = met.labels["value"][holder[inside]]
    before["revision"][inside] = revision[holder[inside]]
    before["known_before"][inside] = met.known[holder[inside]]
    return before, counts


def _pairs(met: _Met, before: Table, counts: Bools, plans: Plans) -> Table:
    out = np.zeros((met.rows.size, 3), PAIR)  # absent, old, new
    _fill_absent(out[:, 0], met.rows, met.asked, plans)
    old, new = out[:, 1], out[:, 2]
    for part in (old, new):
        part["row"], part["label_offset"] = met.rows, met.labels["offset"]
        part["labelled_ms"], part["claimed_ms"] = met.labels["time_ms"], met.labels["claimed_ms"]
    second = before["revision"] != NO_LABEL
    old["weight"], old["value"], old["revision"] = -1, before["value"], before["revision"]
    new["weight"], new["value"], new["revision"] = 1, met.labels["value"], met.labels["revision"]
    new["flags"] = np.where(second, REVISED, FIRST) | np.where(met.known, KNOWN_BEFORE, 0)
    # The row taken back counts as little as it did: by when its own label was known.
    old["flags"] = REVISED | np.where(before["known_before"], KNOWN_BEFORE, 0)
    wanted = np.stack([met.implied, counts & second, counts], axis=1)
    pairs: Table = out.ravel().compress(wanted.ravel())
    return pairs


def _fill_absent(out: Table, rows: Ints, asked: Table, plans: Plans) -> None:
    at_ms = asked["time_ms"] + plans.close_after[asked["plan"]]
    out["row"], out["weight"], out["value"] = rows, 1, plans.means[asked["plan"]]
    out["revision"], out["label_offset"], out["flags"] = ABSENT_REVISION, -1, FIRST | ABSENT
    out["labelled_ms"] = out["claimed_ms"] = at_ms


def _marks(labels: Table, known: Bools) -> Table:
    marks = np.zeros(labels.size, MARK)
    marks["value"], marks["revision"], marks["known_before"] = labels["value"], labels["revision"], known
    return marks
