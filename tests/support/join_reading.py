"""One reading of two logs by the join: batches as they come, refused commits, deaths, lost slabs, offsets set back."""

import random
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from freshet.contracts.messages import Minute
from freshet.drift.core.join import slab
from freshet.drift.core.join.join_rows import LABEL, Plans, Table
from freshet.drift.core.join.join_state import LABELS, PREDICTIONS, JoinState
from support.join_logs import SCORES, Logs, label_rows, prediction_rows
from support.join_reference import Row

FRAME = 4
DAY_MS = 300
Slab = tuple[int, int, bytes]


@dataclass
class Past:
    """A moment that was committed."""

    ends: dict[str, int]
    nexts: dict[str, int]
    clocks: dict[str, int]
    counts: Counter[str]
    state: bytes


@dataclass
class Reading:
    """Reads to the end; `rows` is then what was written of the labelled log."""

    logs: Logs
    rng: random.Random
    refused: float = 0.15
    dies: float = 0.1
    rows: list[Row] = field(default_factory=list)
    minutes: Counter[tuple[str, int, int]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.columns = {
            PREDICTIONS: prediction_rows(self.logs.predictions),
            LABELS: label_rows(self.logs.labels),
        }
        self.first = {role: int(rows["offset"][0]) if rows.size else 0 for role, rows in self.columns.items()}
        self.slabs: dict[str, dict[int, Slab]] = {PREDICTIONS: {}, LABELS: {}}
        self.open = dict(self.first)
        self.ends = {PREDICTIONS: 0, LABELS: 0}
        self.state = self._new()
        self.past: list[Past] = []

    def _new(self) -> JoinState:
        state = JoinState(SCORES, Plans(self.logs.windows))
        state.names = {"version": ["1.0.0", "1.1.0"], "topic": ["t"]}
        return state

    def run(self) -> None:
        """Until both logs are read."""
        size = self.rng.choice([1, 3, 12, 60, 300])
        lean = self.rng.choice([0.02, 0.3, 0.5, 0.7, 0.98])
        while any(self.ends[role] < rows.size for role, rows in self.columns.items()):
            self._batch(size, lean)

    def _batch(self, size: int, lean: float) -> None:
        ends = {}
        for role, share in ((PREDICTIONS, lean), (LABELS, 1 - lean)):
            other = LABELS if role == PREDICTIONS else PREDICTIONS
            alone = self.ends[other] == self.columns[other].size
            more = self.rng.randint(0, size) if alone or self.rng.random() < share else 0
            ends[role] = min(self.columns[role].size, self.ends[role] + more)
        before = self.state.dump() if self.rng.random() < 0.2 else None
        parts = [self._take(role, ends[role]) for role in self.rng.sample([PREDICTIONS, LABELS], 2)]
        was_open, made = dict(self.open), {role: self._cut(role) for role in self.columns}
        if self.rng.random() < self.refused:
            self.state.discarded()
            self.open = was_open
            assert before is None or self.state.dump() == before, "discarded"
            return
        self.state.committed()
        self.ends = ends
        for rows, minutes in parts:
            self.rows += rows
            for minute in minutes:
                self.minutes["predictions", minute.start_ms, minute.answer] += minute.predictions
                self.minutes["labelled", minute.start_ms, minute.answer] += minute.labelled
        for role, slabs in made.items():
            for made_now in slabs:
                assert self.slabs[role].setdefault(made_now[0], made_now) == made_now, "slab differs"
        if self.rng.random() < self.dies:
            self._die()

    def _take(self, role: str, end: int) -> tuple[list[Row], list[Minute]]:
        rows = self.columns[role][self.ends[role] : end]
        if not rows.size:
            return [], []
        taken = self.state.predictions(rows) if role == PREDICTIONS else self.state.labels(rows)
        offsets = self.state.rows.column("offset", taken.pairs["row"])
        told = zip(offsets.tolist(), taken.pairs.tolist(), strict=True)
        return [Row(offset, *pair[1:]) for offset, pair in told], taken.minutes

    def _cut(self, role: str) -> list[Slab]:
        """The slabs that end before the newest row: by offset, day and plan."""
        end = self.state.logs[role].next
        kept = self.state.logs[role].kept
        rows = self.state.rows_between(role, self.open[role], end)
        self.state.logs[role].kept = kept  # a look, so far
        if not rows.size:
            return []
        frames = np.stack([rows["offset"] // FRAME, rows["time_ms"] // DAY_MS, rows["plan"]])
        cuts = np.flatnonzero((frames[:, 1:] != frames[:, :-1]).any(axis=0)) + 1
        made = []
        for start in rows["offset"][cuts].tolist():
            body = slab.encode(self.state.rows_between(role, self.open[role], start), self.state.names)
            made.append((self.open[role], start, body))
            self.open[role] = start
        return made

    def _die(self) -> None:
        """A new owner restores from some of the slabs, and the logs; then also at an earlier moment."""
        counts = self.state.counts.copy()
        now = Past(
            dict(self.ends),
            {role: log.next for role, log in self.state.logs.items()},
            {role: log.clock_ms for role, log in self.state.logs.items()},
            counts,
            self.state.dump(),
        )
        self.past.append(now)
        then = self.rng.choice(self.past)
        back, _ = self._restored(then)
        assert back.dump() == then.state, "state of the past differs"
        self.state, self.open = self._restored(now)
        assert self.state.dump() == now.state, "restored state differs"

    def _restored(self, at: Past) -> tuple[JoinState, dict[str, int]]:
        state, opened = self._new(), {}
        for role in (PREDICTIONS, LABELS):
            kept = {s[0]: s for s in self.slabs[role].values() if s[1] <= at.nexts[role] and self.rng.random() < 0.9}
            position = self.first[role]
            opened[role] = position
            while position < at.nexts[role]:
                if position in kept:
                    _, position, body = kept[position]
                    kind = LABEL if role == LABELS else state.rows.kind
                    self._load(state, role, slab.decode(body, kind, state.names))
                else:
                    end = min([start for start in kept if start > position] + [at.nexts[role]])
                    rows = self.columns[role][: at.ends[role]]
                    rows = rows[(rows["offset"] >= position) & (rows["offset"] < end)]
                    if rows.size:
                        state.predictions(rows) if role == PREDICTIONS else state.labels(rows)
                    position = end
                state.committed()
                opened[role] = max(
                    [s[1] for s in self.slabs[role].values() if s[1] <= at.nexts[role]], default=opened[role]
                )
                state.logs[role].kept = min(position, opened[role])
        for role, log in state.logs.items():
            log.next, log.clock_ms = at.nexts[role], at.clocks[role]
        state.close()
        state.committed()
        state.counts = at.counts.copy()
        return state, opened

    def _load(self, state: JoinState, role: str, rows: Table) -> None:
        if role == PREDICTIONS:
            state.predictions(rows, flagged=True)
        else:
            state.labels(rows)
