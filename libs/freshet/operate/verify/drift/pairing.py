"""Which rows the labelled log of one partition must have: worked out id by id, from all that lies on the topics.

It shares nothing with the join, which reads both logs as they come and forgets what is over. Here everything is at
hand, each id is looked at once, and the only question is which labels fit which prediction.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from freshet.contracts.arrays import Bools, Ints
from freshet.operate.verify.drift.compared import ROW, Table, never_back, none
from freshet.operate.verify.drift.windows import Windows
from freshet.operate.verify.places import NOTHING
from freshet.outcomes.outcome_rows import ABSENT, FIRST, KNOWN_BEFORE, REVISED

ABSENT_REVISION: Final = -(2**31)
_NO_LABEL: Final = ABSENT_REVISION - 1
_SKEW_MS: Final = 60_000
"""By so much brokers' clocks may differ: the join concludes nothing from silence that is shorter."""
_AT_ONCE: Final = 10_000
"""So many ids, and about so many rows, are Python objects at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """What the labelled log of one partition must hold."""

    rows: Table
    """Of ROW."""
    counts: Mapping[str, int]
    """As `Outcomes.counts`."""
    unsure: Ints
    """Offsets of predictions of which it cannot be told what should have become of them."""
    silence: bool
    """Whether some may have been closed, or be unknown, only because nothing came for a while."""


class _Asked(NamedTuple):
    row: int
    offset: int
    time_ms: int
    plan: int
    closed: bool
    """No label at all has said something by now."""


class _Told(NamedTuple):
    row: int
    offset: int
    time_ms: int
    plan: int
    claimed_ms: int
    revision: int
    value: float


def expected(
    asked: Table, told: Table, windows: Mapping[int, Windows], edge_ms: int = 0, said_absent: Ints = NOTHING
) -> Expected:
    """The rows for these predictions and labels: all that there are of a partition, offsets ascending.

    `edge_ms`: of a prediction before it, an earlier one of its id may have expired. `windows` are by plan. The join
    may have concluded from the silence of one log what follows once the other is that far: `said_absent` are the
    predictions of which it says that their label is absent, which is believed from then on.
    """
    pairing = _Pairing(windows, edge_ms)
    times_ms = never_back(asked["time_ms"])
    asked_ms, heard_ms = _newest_ms(asked), _newest_ms(told)
    closes = {plan: of.close_after for plan, of in windows.items()}
    closed = _over(times_ms, asked["plan"], closes, heard_ms)
    early = _over(times_ms, asked["plan"], closes, asked_ms - _SKEW_MS) & ~closed
    closed |= early & np.isin(asked["offset"], said_absent)
    told_ms = never_back(told["time_ms"])
    unmet, parts = np.ones(told.size, np.bool_), list[Table]()
    for predictions, labels in _by_id(asked, times_ms, closed, told, told_ms):
        unmet[pairing.of_id(predictions, labels)] = False
        if len(pairing.rows) >= _AT_ONCE:
            parts.append(pairing.taken())
    parts.append(pairing.taken())
    waits = {plan: of.wait for plan, of in windows.items()}
    unknown, soon = (
        int(_over(told_ms[unmet], told["plan"][unmet], waits, at_ms).sum()) for at_ms in (asked_ms, heard_ms - _SKEW_MS)
    )
    counts = pairing.counts | Counter(predictions=asked.size, labels=told.size, unknown=unknown)
    counts["waiting"] = int(unmet.sum()) - unknown
    gone = ("duplicate_event", "matched", "absent", "expired")
    counts["open"] = asked.size - sum(counts[name] for name in gone)
    return Expected(
        np.concatenate(parts), counts, np.array(sorted(pairing.unsure), np.int64), bool(early.any()) or soon > unknown
    )


def _newest_ms(log: Table) -> int:
    return int(log["time_ms"].max(initial=0))


def _over(times_ms: Ints, plans: Ints, after_ms: Mapping[int, int], now_ms: int) -> Bools:
    """Which of these have had their time; none before those that came earlier."""
    after = np.zeros(times_ms.size, np.int64)
    for plan, ms in after_ms.items():
        after[plans == plan] = ms
    over: Bools = np.maximum.accumulate(times_ms + after) < now_ms
    return over


def _by_id(
    asked: Table, asked_ms: Ints, closed: Bools, told: Table, told_ms: Ints
) -> Iterator[tuple[list[_Asked], list[_Told]]]:
    """The predictions of each id with its labels, both in their order. Labels without any prediction are left out."""
    by_id, labels_by_id = np.argsort(asked["id"], kind="stable"), np.argsort(told["id"], kind="stable")
    ids, firsts = np.unique(asked["id"][by_id], return_index=True)
    ends = np.append(firsts, asked.size)[1:]
    label_ids = told["id"][labels_by_id]
    label_firsts, label_ends = np.searchsorted(label_ids, ids), np.searchsorted(label_ids, ids, side="right")
    for start in range(0, ids.size, _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        at, labels_at = by_id[firsts[start] : ends[some][-1]], labels_by_id[label_firsts[start] : label_ends[some][-1]]
        columns = at, asked["offset"][at], asked_ms[at], asked["plan"][at], closed[at]
        predictions = list(map(_Asked, *(column.tolist() for column in columns)))
        names = ("plan", "claimed_ms", "revision", "value")
        told_columns = labels_at, told["offset"][labels_at], told_ms[labels_at], *(told[n][labels_at] for n in names)
        labels = list(map(_Told, *(column.tolist() for column in told_columns)))
        own, theirs = (firsts[some], ends[some]), (label_firsts[some], label_ends[some])
        ranges, label_ranges = ((np.stack(pair, axis=1) - pair[0][0]).tolist() for pair in (own, theirs))
        for (first, end), (label_first, label_end) in zip(ranges, label_ranges, strict=True):
            yield predictions[first:end], labels[label_first:label_end]


@dataclass(slots=True)
class _Pairing:
    """Takes one id after the other."""

    windows: Mapping[int, Windows]
    edge_ms: int
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    unsure: set[int] = field(default_factory=set)

    def taken(self) -> Table:
        """The rows since the last call."""
        rows, self.rows = self.rows, []
        return np.array(rows, ROW) if rows else none(ROW)

    def of_id(self, asked: list[_Asked], told: list[_Told]) -> list[int]:
        """Returns the labels that met a prediction."""
        primaries = self._primaries(asked)
        met: dict[int, list[_Told]] = {one.row: [] for one in primaries}
        for label in told:
            for one in primaries:
                delta_ms, window = label.time_ms - one.time_ms, self.windows[label.plan]
                if -window.wait <= delta_ms <= window.span:
                    self._doubt(delta_ms, asked)
                    met[one.row].append(label)
                    break
        for one in primaries:
            self._settle(one, met[one.row])
        return [label.row for labels in met.values() for label in labels]

    def _primaries(self, asked: list[_Asked]) -> list[_Asked]:
        """Those that labels belong to. Others repeat the id of one that was so shortly before."""
        primaries: list[_Asked] = []
        sure, before_ms = False, 0
        for number, one in enumerate(asked):
            reach = self.windows[one.plan].reach
            sure |= one.time_ms >= self.edge_ms if number == 0 else one.time_ms - before_ms > reach
            before_ms = one.time_ms
            if not sure:
                self.unsure.add(one.offset)
            if primaries and one.time_ms - primaries[-1].time_ms <= reach:
                self._doubt(one.time_ms - primaries[-1].time_ms, asked)
                self.counts["duplicate_event"] += 1
            else:
                primaries.append(one)
        return primaries

    def _doubt(self, delta_ms: int, asked: list[_Asked]) -> None:
        """Where a later specification reaches further back, the join may have let go of the prediction by then."""
        if delta_ms > min(window.reach for window in self.windows.values()):
            self.unsure |= {one.offset for one in asked}

    def _settle(self, asked: _Asked, labels: list[_Told]) -> None:
        """The rows of one prediction: its first label that counts, and each correction."""
        window = self.windows[asked.plan]
        value, revision, known = 0.0, _NO_LABEL, False
        for label in labels:
            delta_ms = label.time_ms - asked.time_ms
            if delta_ms > self.windows[label.plan].horizon:
                self.counts["late"] += 1
                continue
            if revision == _NO_LABEL and window.absent_after is not None and delta_ms > window.absent_after:
                value, revision = self._absent(asked, window)
            if label.revision <= revision:
                self.counts["superseded"] += 1
                continue
            if revision != _NO_LABEL:
                flags = REVISED | (KNOWN_BEFORE if known else 0)
                self._row(asked, label, weight=-1, value=value, revision=revision, flags=flags)
            kind, known = REVISED if revision != _NO_LABEL else FIRST, delta_ms <= 0
            value, revision = label.value, label.revision
            flags = kind | (KNOWN_BEFORE if known else 0)
            self._row(asked, label, weight=1, value=value, revision=revision, flags=flags)
            self.counts["matched" if kind == FIRST else "revised"] += 1
            self.counts["known_before"] += known
        if revision == _NO_LABEL and asked.closed:
            if window.absent_after is None:
                self.counts["expired"] += 1
            else:
                self._absent(asked, window)

    def _absent(self, asked: _Asked, window: Windows) -> tuple[float, int]:
        at_ms = asked.time_ms + window.close_after
        row = (asked.offset, -1, asked.time_ms, at_ms, at_ms, window.means, ABSENT_REVISION, 1, FIRST | ABSENT)
        self.rows.append(row)
        self.counts["absent"] += 1
        return window.means, ABSENT_REVISION

    def _row(self, asked: _Asked, label: _Told, *, weight: int, value: float, revision: int, flags: int) -> None:
        times = asked.time_ms, label.time_ms, label.claimed_ms
        self.rows.append((asked.offset, label.offset, *times, value, revision, weight, flags))
