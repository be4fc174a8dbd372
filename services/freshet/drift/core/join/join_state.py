"""What the join knows of one partition: predictions and labels, both in the order of their logs, matched by id.

A function of how far each log was read: every decision is about two records or about one log, never about which came
first. Times are the broker's append times, made to never go back: the running maximum of each log.

primary     a prediction without an earlier primary of its id within `reach` before it; others are duplicates for ever
pair        label and primary of its id with -wait ≤ t(label) - t(primary) ≤ span: at most one fits, because of `reach`
late        a pair beyond the horizon
unknown     a label without primary, once no prediction from before t(label) + wait can come any more
closed      a prediction of which no label at all says something: that it has expired, or what `absent_after` means
"""

from collections import Counter
from dataclasses import replace
from typing import Final

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.drift.core.join.hash_table import MOST_NUMBER
from freshet.drift.core.join.join_rows import (
    DUPLICATE,
    LABEL,
    MARK,
    NO_LABEL,
    PAIR,
    Plans,
    Table,
    copied,
    joined,
    prediction_type,
)
from freshet.drift.core.join.primaries import Primaries
from freshet.drift.core.join.read_log import ReadLog
from freshet.drift.core.join.ring import Ring
from freshet.drift.core.join.settle import Settled, absent, settle
from freshet.drift.core.join.taken import Taken, minutes_of
from freshet.drift.core.join.waiting_labels import WAITING_BYTES, Undo, Waiting

PREDICTIONS: Final = "predictions"
LABELS: Final = "labels"
COUNTED: Final = (
    "predictions",
    "duplicate_event",
    "labels",
    "matched",
    "revised",
    "superseded",
    "late",
    "unknown",
    "known_before",
    "absent",
    "expired",
)
"""What is counted as it happens; see `Outcomes.counts`."""

_SCAN: Final = 4096
_TABLE_ROW_BYTES: Final = 28


class JoinState:
    """One partition's state. What `predictions`, `labels` and `close` change is staged until `committed`."""

    def __init__(self, scores: int, plans: Plans) -> None:
        self.plans = plans
        self.logs = {PREDICTIONS: ReadLog(), LABELS: ReadLog()}
        self.counts: Counter[str] = Counter()
        self.first_row = 0
        """Rows of the labelled log that came of this partition so far."""
        self.names: dict[str, list[str]] = {"version": [], "topic": []}
        """What these columns of predictions count from 0."""
        self.rows, self.marks = Ring(prediction_type(scores)), Ring(MARK)
        self.waiting = Waiting()
        self.closed = 0
        self._primaries = Primaries(self.rows)
        self._tail: list[Table] = []
        """Labels that are in no slab yet."""
        self._undo: Undo = []

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        tail = sum(part.nbytes for part in self._tail)
        return self.rows.nbytes + self.marks.nbytes + self._primaries.nbytes + self.waiting.nbytes + tail

    @property
    def used_bytes(self) -> int:
        """What its live rows and waiting labels need of that, at least."""
        row = self.rows.kind.itemsize + MARK.itemsize + _TABLE_ROW_BYTES
        return len(self.rows) * row + self.waiting.live * WAITING_BYTES

    @property
    def told(self) -> dict[str, int]:
        """What became of all predictions and labels so far; `open` and `waiting` are of now."""
        counts = self.counts
        gone = ("duplicate_event", "matched", "absent", "expired")
        told = ("matched", "revised", "superseded", "late", "unknown")
        whole = {
            "open": counts["predictions"] - sum(counts[name] for name in gone),
            "waiting": counts["labels"] - sum(counts[name] for name in told),
        }
        return {**{name: counts[name] for name in COUNTED}, **whole}

    def has_due(self, role: str) -> bool:
        """Whether rows of this log will be let go with the next batch."""
        if role == LABELS:
            return self.waiting.has_due(self.logs[PREDICTIONS].bound_ms, self.plans)
        return len(self.rows) > 0 and self.rows.search("time_ms", self._limit_ms) > self.rows.floor

    @property
    def _limit_ms(self) -> int:
        """Predictions from before it concern no record that is still to come."""
        return min(log.bound_ms for log in self.logs.values()) - self.plans.newest.reach

    def predictions(self, rows: Table, *, flagged: bool = False) -> Taken:
        """Take in rows of `prediction_type`, offsets ascending. `flagged`: what is a duplicate is known."""
        self._remember()
        log = self.logs[PREDICTIONS]
        rows = copied(rows)
        rows["time_ms"] = np.maximum(np.maximum.accumulate(rows["time_ms"]), log.clock_ms)
        plain = self._primaries.flag(rows, self.plans, self._undo, flagged=flagged)
        numbers = self.rows.append(rows)
        self.marks.append(_unmarked(rows.size))
        self._primaries.insert(rows["hash"][plain], numbers[plain], self._undo)
        first = np.flatnonzero(rows["flags"] & DUPLICATE == 0)
        self.counts["predictions"] += rows.size
        self.counts["duplicate_event"] += rows.size - first.size
        log.read(rows)
        met, labels = self.waiting.meet(rows.take(first), numbers[first], self.plans, self._undo)
        return self._taken([self._settle(met, labels)], numbers[first])

    def labels(self, labels: Table) -> Taken:
        """Take in rows of LABEL, offsets ascending."""
        self._remember()
        log = self.logs[LABELS]
        labels = copied(labels)
        labels["time_ms"] = np.maximum(np.maximum.accumulate(labels["time_ms"]), log.clock_ms)
        primary = self._primaries.of(labels, self.plans)
        left = np.flatnonzero(primary < 0)
        if left.size:
            self.waiting.add(labels.take(left), self._undo)
        self.counts["labels"] += labels.size
        log.read(labels)
        self._tail.append(labels)
        met = np.flatnonzero(primary >= 0)
        order = met[np.argsort(primary[met], kind="stable")]
        return self._taken([self._settle(primary[order], labels.take(order))], np.zeros(0, np.int64))

    def close(self) -> Taken:
        """Say what follows from the clocks alone, after they were moved."""
        self._remember()
        return self._taken([], np.zeros(0, np.int64))

    def give_up(self) -> None:
        """Count what is open or waits by the counts, but expired with its topic: no record to come can concern it."""
        told = self.told
        self.counts["expired"] += max(told["open"] - self._open_rows().size, 0)
        self.counts["unknown"] += max(told["waiting"] - self.waiting.live, 0)

    def infer_silence(self, waiting: int, still_open: int) -> None:
        """Set the idle clocks to the least that leaves so many labels waiting and so many predictions open.

        What silence leads to goes from the oldest on, so that how many are left says which.
        """
        labels = self.waiting.rows()
        rows = self._open_rows()
        labels, rows = labels[: max(labels.size - waiting, 0)], rows[: max(rows.size - still_open, 0)]
        over_ms = {
            PREDICTIONS: labels["time_ms"] + self.plans.wait[labels["plan"]],
            LABELS: rows["time_ms"] + self.plans.close_after[rows["plan"]],
        }
        for role, ends_ms in over_ms.items():
            if ends_ms.size:
                self.logs[role].inferred_ms = int(ends_ms.max()) + 1
                self.logs[role].idle_ms = max(self.logs[role].idle_ms, self.logs[role].inferred_ms)

    def _open_rows(self) -> Table:
        """Predictions of which no label says anything yet."""
        numbers = np.arange(self.closed, self.rows.next)
        rows = self.rows.take(numbers)
        return rows.compress((self.marks.column("revision", numbers) == NO_LABEL) & (rows["flags"] & DUPLICATE == 0))

    def discarded(self) -> None:
        """What was staged never was."""
        while self._undo:
            self._undo.pop()()

    def committed(self) -> None:
        """What was staged is part of the state: forget what no record to come can concern."""
        self._undo.clear()
        self.waiting.drop()
        labels = self.logs[LABELS]
        self._tail = [rest for part in self._tail if (rest := part.compress(part["offset"] >= labels.kept)).size]
        kept = self.rows.search("offset", self.logs[PREDICTIONS].kept)
        floor = min(self.rows.search("time_ms", self._limit_ms), self.closed, kept)
        if floor > self.rows.floor:
            self.rows.floor = self.marks.floor = floor
            self._primaries.forget(floor)
        if self.rows.next >= MOST_NUMBER // 2:
            self._renumber()

    def rows_between(self, role: str, first: int, end: int) -> Table:
        """The rows with first ≤ offset < end, which are kept elsewhere from now on."""
        log = self.logs[role]
        before = log.kept
        log.kept = max(before, end)
        self._undo.append(lambda: setattr(log, "kept", before))
        if role == PREDICTIONS:
            return self.rows.take(np.arange(self.rows.search("offset", first), self.rows.search("offset", end)))
        parts = [part.compress((part["offset"] >= first) & (part["offset"] < end)) for part in self._tail]
        return joined(parts, LABEL)

    def dump(self) -> bytes:
        """All that matters of it: the same state gives the same bytes. Nothing is ever kept this way."""
        limit_ms = min(log.clock_ms for log in self.logs.values()) - self.plans.newest.reach
        numbers = np.arange(self.rows.search("time_ms", limit_ms), self.rows.next)
        rows = self.rows.take(numbers)
        named = [[self.names[column][code] for code in rows[column].tolist()] for column in self.names]
        rows["version"] = rows["topic"] = 0  # counted otherwise in each process
        logs = [(role, log.next, log.clock_ms) for role, log in self.logs.items()]
        head = repr((logs, self.first_row, [self.counts[name] for name in COUNTED], named))
        parts = (rows, self.marks.take(numbers), self.waiting.rows())
        return b"|".join([head.encode(), *(part.tobytes() for part in parts)])

    def _remember(self) -> None:
        logs = {role: replace(log) for role, log in self.logs.items()}
        counts, closed, end, tail = self.counts.copy(), self.closed, self.rows.next, len(self._tail)
        first_row = self.first_row

        def back() -> None:
            self.logs, self.counts, self.closed, self.first_row = logs, counts, closed, first_row
            self.rows.next = self.marks.next = end
            del self._tail[tail:]

        self._undo.append(back)

    def _settle(self, numbers: Ints, labels: Table) -> Settled:
        return self._apply(settle(numbers, labels, self.rows.take(numbers), self.marks.take(numbers), self.plans))

    def _apply(self, settled: Settled) -> Settled:
        before = self.marks.take(settled.changed)
        self._undo.append(lambda: self.marks.put(settled.changed, before))
        self.marks.put(settled.changed, settled.marks)
        self.counts.update(settled.counts)
        # Where an earlier plan had closed it already, it counts as labelled after all.
        self.counts["expired"] -= int(np.count_nonzero(settled.firsts < self.closed))
        return settled

    def _taken(self, settled: list[Settled], asked: Ints) -> Taken:
        """What was settled, and what follows from how far the logs are now; `asked` are new primaries' numbers."""
        predicted_ms = self.logs[PREDICTIONS].bound_ms
        self.counts["unknown"] += self.waiting.count_unknown(predicted_ms, self.plans, self._undo)
        settled += self._closed()
        firsts = np.concatenate([part.firsts for part in settled] or [np.zeros(0, np.int64)])
        pairs = joined([part.pairs for part in settled], PAIR)
        counted = np.concatenate([asked, firsts])
        times_ms, answers = (self.rows.column(name, counted) for name in ("time_ms", "answer"))
        return Taken(pairs, minutes_of(times_ms, answers, asked.size))

    def _closed(self) -> list[Settled]:
        """Close predictions that no label can come in time for any more."""
        labelled_ms, settled = self.logs[LABELS].bound_ms, list[Settled]()
        while self.closed < self.rows.next:
            numbers = np.arange(self.closed, min(self.closed + _SCAN, self.rows.next))
            rows = self.rows.take(numbers)
            stays = rows["time_ms"] + self.plans.close_after[rows["plan"]] >= labelled_ms
            end = int(np.argmax(stays)) if stays.any() else numbers.size
            unlabelled = (self.marks.column("revision", numbers) == NO_LABEL) & (rows["flags"] & DUPLICATE == 0)
            unlabelled[end:] = False
            implied = unlabelled & self.plans.has_absent(rows["plan"])
            self.counts["expired"] += int(np.count_nonzero(unlabelled & ~implied))
            if implied.any():
                settled.append(self._apply(absent(numbers[implied], rows[implied], self.plans)))
            self.closed += end
            if end < numbers.size:
                break
        return settled

    def _renumber(self) -> None:
        shift = self.rows.renumber()
        assert self.marks.renumber() == shift
        self.closed -= shift
        self._primaries.renumber(shift)


def _unmarked(count: int) -> Table:
    marks = np.zeros(count, MARK)
    marks["revision"] = NO_LABEL
    return marks
