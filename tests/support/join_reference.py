"""The label join one record at a time, with Python objects and without forgetting: what the columns must agree with."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from freshet.drift.core.join.join_rows import ABSENT_REVISION, NO_LABEL, Windows
from freshet.outcomes.outcome_rows import ABSENT, FIRST, KNOWN_BEFORE, REVISED

Id = tuple[int, int]
"""The two hashes of an event id."""


class Prediction(NamedTuple):
    """A prediction as its log has it; `time_ms` as the broker wrote it."""

    id: Id
    offset: int
    time_ms: int
    plan: int
    answer: int = 0


class Label(NamedTuple):
    """A label as its log has it."""

    id: Id
    offset: int
    time_ms: int
    claimed_ms: int
    revision: int
    value: float
    plan: int


class Row(NamedTuple):
    """A row of the labelled log."""

    prediction_offset: int
    weight: int
    value: float
    revision: int
    label_offset: int
    labelled_ms: int
    claimed_ms: int
    flags: int


@dataclass
class _Asked:
    at: Prediction
    duplicate: bool
    value: float = 0.0
    revision: int = NO_LABEL
    known: bool = False
    closed: bool = False


@dataclass
class Reference:
    """Reads both logs in any order."""

    windows: dict[int, Windows]
    asked: list[_Asked] = field(default_factory=list)
    waiting: list[Label] = field(default_factory=list)
    clocks: dict[str, int] = field(default_factory=lambda: {"predictions": 0, "labels": 0})
    counts: Counter[str] = field(default_factory=Counter)
    minutes: Counter[tuple[str, int, int]] = field(default_factory=Counter)
    rows: list[Row] = field(default_factory=list)

    def prediction(self, row: Prediction) -> None:
        """Read one."""
        row = row._replace(time_ms=max(row.time_ms, self.clocks["predictions"]))
        self.clocks["predictions"] = row.time_ms
        mine = [asked for asked in self.asked if asked.at.id == row.id and not asked.duplicate]
        reach = self.windows[row.plan].reach
        asked = _Asked(row, bool(mine) and row.time_ms - mine[-1].at.time_ms <= reach)
        self.asked.append(asked)
        self.counts["predictions"] += 1
        if asked.duplicate:
            self.counts["duplicate_event"] += 1
        else:
            self.minutes["predictions", row.time_ms // 60_000 * 60_000, row.answer] += 1
            met = [label for label in self.waiting if label.id == row.id and self._fits(label, asked)]
            self.waiting = [label for label in self.waiting if label not in met]
            for label in met:
                self._settle(asked, label)
        self._tick()

    def label(self, row: Label) -> None:
        """Read one."""
        row = row._replace(time_ms=max(row.time_ms, self.clocks["labels"]))
        self.clocks["labels"] = row.time_ms
        self.counts["labels"] += 1
        for asked in self.asked:
            if asked.at.id == row.id and not asked.duplicate and self._fits(row, asked):
                self._settle(asked, row)
                break
        else:
            self.waiting.append(row)
        self._tick()

    def _fits(self, label: Label, asked: _Asked) -> bool:
        windows = self.windows[label.plan]
        return -windows.wait <= label.time_ms - asked.at.time_ms <= windows.span

    def _settle(self, asked: _Asked, label: Label) -> None:
        delta_ms = label.time_ms - asked.at.time_ms
        if delta_ms > self.windows[label.plan].horizon:
            self.counts["late"] += 1
            return
        after = self.windows[asked.at.plan].absent_after
        if asked.revision == NO_LABEL and after is not None and delta_ms > after:
            self._absent(asked)
        if label.revision <= asked.revision:
            self.counts["superseded"] += 1
            return
        known, first = delta_ms <= 0, asked.revision == NO_LABEL
        tail = (label.offset, label.time_ms, label.claimed_ms)
        if first:
            self._first(asked)
        else:
            flags = REVISED | (KNOWN_BEFORE if asked.known else 0)
            self.rows.append(Row(asked.at.offset, -1, asked.value, asked.revision, *tail, flags))
        flags = (FIRST if first else REVISED) | (KNOWN_BEFORE if known else 0)
        self.rows.append(Row(asked.at.offset, 1, label.value, label.revision, *tail, flags))
        self.counts["matched" if first else "revised"] += 1
        self.counts["known_before"] += known
        asked.value, asked.revision, asked.known = label.value, label.revision, known

    def _first(self, asked: _Asked) -> None:
        self.minutes["labelled", asked.at.time_ms // 60_000 * 60_000, asked.at.answer] += 1
        self.counts["expired"] -= asked.closed

    def _absent(self, asked: _Asked) -> None:
        windows = self.windows[asked.at.plan]
        at_ms = asked.at.time_ms + windows.close_after
        asked.value, asked.revision = windows.means, ABSENT_REVISION
        self.rows.append(Row(asked.at.offset, 1, windows.means, ABSENT_REVISION, -1, at_ms, at_ms, FIRST | ABSENT))
        self.counts["absent"] += 1
        self._first(asked)

    def _tick(self) -> None:
        while self.waiting:
            first = self.waiting[0]
            if first.time_ms + self.windows[first.plan].wait >= self.clocks["predictions"]:
                break
            self.waiting.pop(0)
            self.counts["unknown"] += 1
        for asked in self.asked:
            windows = self.windows[asked.at.plan]
            if asked.at.time_ms + windows.close_after >= self.clocks["labels"]:
                break
            if asked.closed:
                continue
            if not asked.duplicate and asked.revision == NO_LABEL:
                if windows.absent_after is not None:
                    self._absent(asked)
                else:
                    self.counts["expired"] += 1
                    asked.closed = True
                    continue
            asked.closed = True
