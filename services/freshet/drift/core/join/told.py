"""What no window of the inputs gives back, and so rides with the committed offsets: counts, and how far was read."""

import re
from collections import Counter
from typing import NamedTuple, Self

from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Outcomes
from freshet.drift.core.join.join_state import COUNTED, LABELS, PREDICTIONS, JoinState

_TEXT = re.compile(r"j=(\d+),(\d+) r=(\d+) c=(\d+),(\d+),(\d+),(\d+) k=([\d,]+)")


class Told(NamedTuple):
    """Of one partition: next offsets, rows of the labelled log so far, clocks of both logs, and the counts."""

    next: tuple[int, int]
    first_row: int
    clocks_ms: tuple[int, int]
    idle_ms: tuple[int, int]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, state: JoinState) -> Self:
        """As the state is now."""
        asked, labels = state.logs[PREDICTIONS], state.logs[LABELS]
        return cls(
            (asked.next, labels.next),
            state.first_row,
            (asked.clock_ms, labels.clock_ms),
            (asked.idle_ms, labels.idle_ms),
            tuple(state.counts[name] for name in COUNTED),
        )

    @classmethod
    def in_record(cls, record: Outcomes) -> Self:
        """As the partition's last record says; clocks follow from the rows."""
        ends = (record.inputs.get(PREDICTIONS, 0), record.inputs.get(LABELS, 0))
        counts = tuple(record.counts[name] for name in COUNTED)
        return cls(ends, record.first_row + record.rows, (0, 0), (0, 0), counts)

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
        return cls((numbers[0], numbers[1]), numbers[2], (numbers[3], numbers[4]), (numbers[5], numbers[6]), counts)

    @property
    def text(self) -> str:
        """Some 200 bytes."""
        clocks = ",".join(map(str, (*self.clocks_ms, *self.idle_ms)))
        counts = ",".join(map(str, self.counts))
        return f"j={self.next[0]},{self.next[1]} r={self.first_row} c={clocks} k={counts}"

    def apply(self, state: JoinState) -> None:
        """Bring a state that was restored to where it was, or one that stayed back to there.

        Silence that was noticed since then says nothing: what follows from it was neither counted nor written.
        """
        for at, role in enumerate((PREDICTIONS, LABELS)):
            log = state.logs[role]
            log.next = self.next[at]
            log.clock_ms = max(log.clock_ms, self.clocks_ms[at])
            log.idle_ms = self.idle_ms[at]
        state.close()
        counts = Counter(dict(zip(COUNTED, self.counts, strict=True)))
        if not any(self.clocks_ms):  # a record tells no clocks
            state.counts = counts.copy()
            state.infer_silence(state.told["waiting"], state.told["open"])
            state.close()
        state.committed()
        state.first_row, state.counts = self.first_row, counts
