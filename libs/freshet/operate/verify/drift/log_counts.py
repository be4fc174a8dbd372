"""The labelled log as the judge takes it in: record by record, kept as columns, and held against its own counts."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.contracts.messages import Outcomes
from freshet.operate.verify.drift.compared import ROW, Table, none
from freshet.operate.verify.findings import Finding, listed
from freshet.outcomes.outcome_rows import ABSENT, FIRST, NO_VALUES, REVISED, OutcomeRows

PROMISE: Final = "drift"
_ADDED: Final = (
    ("labels", ("matched", "revised", "superseded", "late", "unknown", "waiting")),
    ("predictions", ("duplicate_event", "matched", "absent", "open", "expired")),
)
"""What is a sum of what. A first label is one that matched, or the absence of any."""
_KINDS: Final = {"matched": FIRST, "absent": FIRST | ABSENT, "revised": REVISED}


@dataclass(slots=True, eq=False)
class PartitionLog:
    """What the log holds of one partition."""

    partition: int
    first_row: int
    """Rows before the first record that is left."""
    next_row: int
    inputs: Mapping[str, int]
    """How far both topics were read."""
    counts: Mapping[str, int]
    plans: list[tuple[int, int, int]] = field(default_factory=list)
    """Number of a specification, and the first offsets of predictions and labels that were read under it."""
    before: Mapping[str, int] | None = None
    """`inputs` of the first record that is left, where the records before it have expired."""
    topic_ids: set[tuple[str, str]] = field(default_factory=set)
    """Of each input, the topics that its offsets are of, as far as records say."""
    parts: list[Table] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    """What minutes and rows of records have added up to, and the counts that they began with."""

    @property
    def rows(self) -> Table:
        """Of ROW, in the order of the log."""
        return np.concatenate(self.parts) if self.parts else none(ROW)

    def plan_of(self, role: str, offsets: Ints) -> Ints:
        """Under which specification each of these records was read."""
        at = 1 if role == "predictions" else 2
        found = np.full(offsets.size, self.plans[0][0], np.int64)
        for change in self.plans[1:]:
            found[offsets >= change[at]] = change[0]
        return found


class LabelledLog:
    """The records in their order."""

    def __init__(self, *, expired: bool) -> None:
        """`expired`: retention has taken records from the front."""
        self.partitions: dict[int, PartitionLog] = {}
        self.records = 0
        self._expired = expired
        self._gaps: list[str] = []
        self._sums: list[str] = []

    def add(self, offset: int, record: Outcomes, rows: OutcomeRows) -> None:
        """The next record, with its rows."""
        self.records += 1
        part = self.partitions.get(record.partition)
        if part is None:
            part = self._begun(record, rows)
        elif record.first_row != part.next_row:
            self._gaps.append(f"offset {offset}: row {record.first_row} of {record.partition}, not {part.next_row}")
        if part.plans[-1][0] != record.number:
            ends = part.inputs.get("predictions", 0), part.inputs.get("labels", 0)
            part.plans.append((record.number, *ends))
        for whole, parts in _ADDED:
            if record.counts.get(whole, 0) != sum(record.counts.get(name, 0) for name in parts):
                self._sums.append(f"offset {offset}: {whole} of {record.partition}")
        part.next_row, part.inputs, part.counts = record.first_row + record.rows, record.inputs, record.counts
        part.topic_ids.update(record.input_topics.items())
        part.parts.append(_columns(rows, is_value=record.classes == 1))
        part.told.update(_told(record, rows))

    def _begun(self, record: Outcomes, rows: OutcomeRows) -> PartitionLog:
        part = PartitionLog(record.partition, record.first_row, record.first_row, {}, {}, [(record.number, 0, 0)])
        if self._expired or record.first_row:
            # What led up to the first record is not there: it counts from what that one says.
            part.before, part.told = record.inputs, Counter(_due(record.counts))
            part.told.subtract(_told(record, rows))
        self.partitions[record.partition] = part
        return part

    def findings(self) -> Iterator[Finding]:
        """The checks that need nothing but the log."""
        yield listed(PROMISE, "the labelled log has each row once", self.records, self._gaps)
        yield listed(PROMISE, "predictions and labels add up", self.records, self._sums)
        wrong = [
            f"partition {number}: {part.told[name]:,} {name}, {due:,} counted"
            for number, part in sorted(self.partitions.items())
            for name, due in _due(part.counts).items()
            if part.told[name] != due
        ]
        yield listed(PROMISE, "rows and minutes are as many as the counts say", len(self.partitions), wrong)


def _due(counts: Mapping[str, int]) -> dict[str, int]:
    """How many rows and minutes these counts demand."""
    labelled = counts.get("matched", 0) + counts.get("absent", 0)
    return {
        **{f"rows {name}": counts.get(name, 0) for name in _KINDS},
        "minutes of predictions": counts.get("predictions", 0) - counts.get("duplicate_event", 0),
        "minutes of labels": labelled,
    }


def _told(record: Outcomes, rows: OutcomeRows) -> dict[str, int]:
    """What a record brings of each."""
    kinds = np.where(rows.weight > 0, rows.flags & (FIRST | REVISED | ABSENT), 0)
    return {
        **{f"rows {name}": int(np.count_nonzero(kinds == flags)) for name, flags in _KINDS.items()},
        "minutes of predictions": sum(minute.predictions for minute in record.minutes),
        "minutes of labels": sum(minute.labelled for minute in record.minutes),
    }


def _columns(rows: OutcomeRows, *, is_value: bool) -> Table:
    found = np.zeros(len(rows), ROW)
    found["prediction"], found["label"] = rows.prediction_offset, rows.label_offset
    for name in ("predicted_ms", "labelled_ms", "claimed_ms"):
        found[name] = getattr(rows, name)
    found["value"] = rows.truth if is_value else rows.label
    found["revision"], found["weight"] = rows.revision, rows.weight
    found["flags"] = rows.flags & ~NO_VALUES
    return found
