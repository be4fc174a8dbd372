"""What no window of the inputs gives back, and so rides with the committed offsets: counts, and how far was read."""

import re
from collections import Counter
from typing import NamedTuple, Self

from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Outcomes
from freshet.contracts.topic_id import PATTERN
from freshet.drift.core.join.join_state import COUNTED, LABELS, PREDICTIONS, JoinState

_ROLES = (PREDICTIONS, LABELS)
_TOPIC_ID = f"(?:{PATTERN})?"
_TEXT = re.compile(
    r"j=(\d+),(\d+) r=(\d+) c=(\d+),(\d+),(\d+),(\d+) k=([\d,]+)"
    rf"(?: p=(\d+),(\d+),(\d+) s=(\d+),(\d+) i=({_TOPIC_ID}),({_TOPIC_ID}))?"
)


class Told(NamedTuple):
    """Of one partition: next offsets, rows of the labelled log so far, clocks of both logs, and the counts.

    `plan` is the newest one (0 where an older release wrote this), with the first offset of each log under it; `since`
    is where the state began in each; `topic_ids` say whose the offsets are, empty where that is not known.
    """

    next: tuple[int, int]
    first_row: int
    clocks_ms: tuple[int, int]
    idle_ms: tuple[int, int]
    counts: tuple[int, ...]
    plan: tuple[int, int, int] = (0, 0, 0)
    since: tuple[int, int] = (0, 0)
    topic_ids: tuple[str, str] = ("", "")

    @classmethod
    def of(cls, state: JoinState) -> Self:
        """As the state is now."""
        asked, labels = state.logs[PREDICTIONS], state.logs[LABELS]
        plan = max(asked.plan, labels.plan)
        return cls(
            (asked.next, labels.next),
            state.first_row,
            (asked.clock_ms, labels.clock_ms),
            (asked.idle_ms, labels.idle_ms),
            tuple(state.counts[name] for name in COUNTED),
            (plan, asked.first_under(plan), labels.first_under(plan)),
            (asked.since, labels.since),
            (asked.topic_id, labels.topic_id),
        )

    @classmethod
    def in_record(cls, record: Outcomes) -> Self:
        """As the partition's last record says; clocks follow from the rows."""
        ends = (record.inputs.get(PREDICTIONS, 0), record.inputs.get(LABELS, 0))
        counts = tuple(record.counts.get(name, 0) for name in COUNTED)
        firsts = (record.number_from.get(PREDICTIONS, 0), record.number_from.get(LABELS, 0))
        plan = (record.number, *firsts) if record.number_from else (0, 0, 0)
        since = (record.state_from.get(PREDICTIONS, 0), record.state_from.get(LABELS, 0))
        ids = (record.input_topics.get(PREDICTIONS, ""), record.input_topics.get(LABELS, ""))
        return cls(ends, record.first_row + record.rows, (0, 0), (0, 0), counts, plan, since, ids)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `text` back. Raises ContractError on anything else."""
        found = _TEXT.fullmatch(text)
        counts = tuple(map(int, found[8].split(","))) if found else ()
        if found is None or len(counts) != len(COUNTED):
            raise ContractError(
                f"offset metadata {text!r} is not the join's: the group's offsets were written by another program, or "
                "by another release. See `freshet doctor` before going on."
            )
        numbers = list(map(int, found.groups()[:7]))
        clocks_ms, idle_ms = (numbers[3], numbers[4]), (numbers[5], numbers[6])
        told = cls((numbers[0], numbers[1]), numbers[2], clocks_ms, idle_ms, counts)
        if found[9] is None:
            return told
        plan, first, second, *since = map(int, found.groups()[8:13])
        return told._replace(plan=(plan, first, second), since=(since[0], since[1]), topic_ids=(found[14], found[15]))

    @property
    def text(self) -> str:
        """Some 250 bytes."""
        clocks = ",".join(map(str, (*self.clocks_ms, *self.idle_ms)))
        counts, plan = ",".join(map(str, self.counts)), ",".join(map(str, self.plan))
        told = f"j={self.next[0]},{self.next[1]} r={self.first_row} c={clocks} k={counts}"
        return f"{told} p={plan} s={self.since[0]},{self.since[1]} i={','.join(self.topic_ids)}"

    def is_of(self, state: JoinState) -> bool:
        """Whether both topics are still those that the offsets are of."""
        return all(mine in {"", state.logs[role].topic_id} for role, mine in zip(_ROLES, self.topic_ids, strict=True))

    @property
    def has_clocks(self) -> bool:
        """Whether it was committed with a batch: a record of the labelled log tells no clocks."""
        return any(self.clocks_ms)

    def apply(self, state: JoinState) -> None:
        """Bring a state that was restored to where it was, or one that stayed back to there.

        Silence that was noticed since then says nothing: what follows from it was neither counted nor written.
        """
        if not self.is_of(state):
            self._end(state)
            return
        # Of a state that knows more, these counts tell nothing. The other input's metadata then does.
        is_whole = all(state.logs[role].next <= end for role, end in zip(_ROLES, self.next, strict=True))
        for at, role in enumerate(_ROLES):
            log = state.logs[role]
            log.next, log.since = self.next[at], self.since[at]
            if self.plan[0]:
                log.plan, log.plan_first = self.plan[0], self.plan[1 + at]
            log.clock_ms = max(log.clock_ms, self.clocks_ms[at])
            log.idle_ms = self.idle_ms[at] if self.has_clocks else log.inferred_ms
        state.close()
        counts = Counter(dict(zip(COUNTED, self.counts, strict=True)))
        if is_whole and not self.has_clocks:
            state.counts = counts.copy()
            state.infer_silence(state.told["waiting"], state.told["open"])
            state.close()
        state.committed()
        state.first_row, state.counts = self.first_row, counts
        if is_whole:
            state.give_up()

    def _end(self, state: JoinState) -> None:
        """One of the topics was made anew, so that a new state begins. What was open then never meets anything."""
        for at, role in enumerate(_ROLES):
            log = state.logs[role]
            if self.topic_ids[at] in {"", log.topic_id}:
                log.next = log.since = self.next[at]
            log.clock_ms = max(log.clock_ms, self.clocks_ms[at])
        state.committed()
        state.first_row, state.counts = self.first_row, Counter(dict(zip(COUNTED, self.counts, strict=True)))
        told = state.told
        state.counts["expired"] += told["open"]
        state.counts["unknown"] += told["waiting"]
