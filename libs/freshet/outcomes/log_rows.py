"""How rows of the labelled log are numbered, and records of it as one stretch of rows.

The log is one topic with one partition, so its rows have one order: that of its records, and within a record that of
its columns. A row's number is how many rows of the log lie before it, counted from the very first one. Retention takes
records away, but no numbers: each record says how many rows of its partition came before it, so the newest records of
all partitions together say how long the log is, and all else is counted back from there. There is one exception: where
a partition has written nothing for as long as the log is retained, whoever reads the log for the first time does not
count its rows.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

import numpy as np

from freshet.contracts.arrays import Floats32, Ints
from freshet.contracts.messages import Outcomes
from freshet.outcomes.outcome_rows import OutcomeRows

_DIGESTED: Final = ("prediction_offset", "label", "truth", "values")


def ends_after(ends: Mapping[int, int], record: Outcomes) -> dict[int, int]:
    """How many rows each partition has written up to and with this record. Their sum is the length of the log."""
    return {**ends, record.partition: record.first_row + record.rows}


def early_ms(record: Outcomes) -> int | None:
    """Since when nine in ten predictions of this record were made, whatever one late label says; None without rows."""
    predicted_ms = np.sort(OutcomeRows.of(record).predicted_ms)
    return int(predicted_ms[predicted_ms.size // 10]) if predicted_ms.size else None


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Rows of the log without a gap."""

    first_row: int
    """Number of the first of them."""
    rows: OutcomeRows
    partition: Ints
    """The partition of each row: `prediction_offset` and the like are offsets in it."""

    @property
    def end_row(self) -> int:
        """One more than the number of the last row."""
        return self.first_row + len(self.rows)

    def digest(self, at: Ints) -> str:
        """SHA-256 of the rows at these places: which predictions, their truths and their values."""
        rows, found = self.rows.take(at), hashlib.sha256(self.partition[at].tobytes())
        for name in _DIGESTED:
            found.update(np.ascontiguousarray(getattr(rows, name)).tobytes())
        return found.hexdigest()


def stretch_of(records: Sequence[Outcomes], end_row: int, *, width: int, classes: int) -> Stretch:
    """These consecutive records, the last of which ends before `end_row`.

    Each row gets `width` values. Features are only ever appended, so an older row is NaN where it lacks the newer ones.
    Who read the records has checked their columns. Raises ContractError if one has not this number of classes (1 for a
    regression).
    """
    alike = groupby(records, key=lambda record: (record.width, record.classes))
    parts = [_fitting(OutcomeRows.of_all(list(group)), width) for _, group in alike]
    of_record = np.array([(record.partition, record.rows) for record in records], np.int64).reshape(-1, 2)
    rows = OutcomeRows.joined(parts, width=width, classes=classes)
    return Stretch(end_row - len(rows), rows, np.repeat(*of_record.T))


def _fitting(rows: OutcomeRows, width: int) -> OutcomeRows:
    have = rows.values.shape[1]
    if have == width:
        return rows
    values: Floats32 = np.full((len(rows), width), np.nan, np.float32)
    values[:, : min(have, width)] = rows.values[:, :width]
    return replace(rows, values=values)
