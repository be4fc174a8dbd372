"""Trainings against the labelled log: what each was given is there, and was there when it began.

Which rows a training may learn from is worked out here once more, one row after the other: the judge does not believe
the code that it judges.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.contracts.training_message import Training
from freshet.operate.verify.findings import Finding, Unjudged, listed
from freshet.operate.verify.retraining.loop_evidence import PROMISE, SHORT, Dated, LoopEvidence
from freshet.operate.verify.retraining.row_numbers import RowNumbers
from freshet.outcomes.log_rows import Stretch
from freshet.outcomes.outcome_rows import FIRST, KNOWN_BEFORE, NO_VALUES, REVISED, OutcomeRows
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.protocol import Bus

READ_AGAIN: Final = 10
"""The rows of so many trainings are read again, the newest ones."""
_CLOCKS_MS: Final = 60_000
"""So far apart may the clocks of two brokers be."""


@dataclass(frozen=True, slots=True, eq=False)
class Taught:
    """A training, and rows that no trainer has seen."""

    record: Training
    spec: PipelineSpec
    """That it is for."""
    holdout: OutcomeRows
    """What its model was tried on."""


@dataclass(slots=True, eq=False)
class Watermarks:
    """`findings` first; then `taught` and `unjudged` say what was read."""

    bus: Bus
    evidence: LoopEvidence
    log: RowNumbers
    keep: bool = False
    """Whether `taught` is wanted: it takes a fifth of the memory of all rows."""
    taught: list[Taught] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def findings(self) -> Iterator[Finding]:
        """Of all trainings that began on the log that there is now."""
        known = [told for told in self.evidence.begun if not self._gone(told)]
        past = [
            f"{told.message.training[:8]}: {trouble}" for told in known if (trouble := self._past_the_watermark(told))
        ]
        yield listed(PROMISE, "trainings were given rows that were there when they began", len(known), past)
        ids = {told.message.training for told in known} - {line.partition(":")[0] for line in past}
        ended = [told for told in self.evidence.finished if told.message.training in ids]
        readable = [(told.message, spec) for told in ended if (spec := self._readable(told)) is not None]
        if len(readable) > READ_AGAIN:
            why = f"whose rows were not read again: those of the newest {READ_AGAIN} are"
            self.left_out[why] = len(readable) - READ_AGAIN
        readable = readable[-READ_AGAIN:]
        other = [f"{record.training[:8]}: {told}" for record, spec in readable if (told := self._read(record, spec))]
        yield listed(PROMISE, "models learned from the rows before their watermark", len(readable), other)

    def unjudged(self) -> Iterator[Unjudged]:
        """Trainings that the log cannot be asked about any more."""
        for why, count in self.left_out.items():
            yield Unjudged("trainings", count, why)

    def _leave_out(self, why: str) -> bool:
        self.left_out[why] = self.left_out.get(why, 0) + 1
        return True

    def _gone(self, told: Dated[Training]) -> bool:
        """Whether the log was made anew since, or has lost the last row that it was given."""
        if not self.log.offsets or self.log.first_ms > told.at_ms:
            return self._leave_out("of rows that the labelled log no longer has")
        return False

    def _past_the_watermark(self, told: Dated[Training]) -> str:
        start = told.message
        place = self.log.at(start.through)
        if place < 0:
            return f"the labelled log has no record {start.through}"
        if self.log.times_ms[place] > told.at_ms + _CLOCKS_MS:
            return f"the record {start.through} came after it had begun"
        if self.log.ends[place] != start.end_row:
            return f"behind the record {start.through} comes row {self.log.ends[place]:,}, not {start.end_row:,}"
        if not 0 <= start.from_row <= start.cut_row <= start.end_row:
            return f"it was given rows {start.from_row:,} to {start.cut_row:,} to {start.end_row:,}"
        return ""

    def _readable(self, told: Dated[Training]) -> PipelineSpec | None:
        spec = self.evidence.spec_of(told)
        if told.message.reason.startswith(SHORT) or spec is None:
            self._leave_out("of which only a part was told, or whose specification cannot be read here")
            return None
        if told.message.from_row < self.log.first_row:
            self._leave_out("of rows that the labelled log no longer has")
            return None
        return spec

    def _read(self, record: Training, spec: PipelineSpec) -> str:
        """In what the record of a training is not what its rows make it; empty if in nothing."""
        width, classes = len(spec.feature_names), len(spec.target.classes) or 1
        stretch = self.log.stretch(self.bus, record.from_row, record.through, width=width, classes=classes)
        learned, tried = allotted(stretch, record.from_row, record.cut_row, record.end_row)
        if self.keep:
            self.taught.append(Taught(record, spec, stretch.rows.take(tried)))
        return ", ".join(_differences(record, stretch, learned, tried))


def allotted(stretch: Stretch, from_row: int, cut_row: int, end_row: int) -> tuple[Ints, Ints]:
    """Places of the rows that a training may learn from, and of those that its model is tried on.

    It learns from the last label of each prediction before the cut, and is tried on predictions that nobody had a label
    for when they were made, later than all that was learned. Where this would leave less than half of them, the newest
    labels are not learned from.
    """
    predicted_ms, labelled_ms = stretch.rows.predicted_ms.tolist(), stretch.rows.labelled_ms.tolist()
    flags = stretch.rows.flags.tolist()
    learned = _last_labels(stretch, from_row, cut_row, None)
    tried = [at for at in _last_labels(stretch, cut_row, end_row, None) if not flags[at] & KNOWN_BEFORE]
    boundary_ms = max((labelled_ms[at] for at in learned), default=0)
    if tried:
        asked_ms = sorted(predicted_ms[at] for at in tried)
        boundary_ms = min(boundary_ms, asked_ms[(len(asked_ms) - 1) // 2])
    learned = _last_labels(stretch, from_row, cut_row, boundary_ms)
    tried = [at for at in tried if predicted_ms[at] > boundary_ms]
    return np.array(learned, np.int64), np.array(tried, np.int64)


def _last_labels(stretch: Stretch, from_row: int, end_row: int, until_ms: int | None) -> list[int]:
    rows = stretch.rows
    first, end = from_row - stretch.first_row, end_row - stretch.first_row
    columns = (rows.weight, rows.flags, rows.labelled_ms, stretch.partition, rows.prediction_offset)
    last: dict[tuple[int, int], tuple[int, int]] = {}
    lines = zip(*(column[first:end].tolist() for column in columns), strict=True)
    for at, (weight, flags, labelled_ms, partition, offset) in enumerate(lines, first):
        if weight > 0 and flags & (FIRST | REVISED) and (until_ms is None or labelled_ms <= until_ms):
            last[partition, offset] = at, flags
    return sorted(at for at, flags in last.values() if not flags & NO_VALUES)


def _differences(record: Training, stretch: Stretch, learned: Ints, tried: Ints) -> Iterator[str]:
    if (record.rows, record.holdout_rows) != (len(learned), len(tried)):
        yield (
            f"{record.rows:,} rows and {record.holdout_rows:,} to try it on, but there are {len(learned):,} and "
            f"{len(tried):,}"
        )
        return
    newest_ms = int(stretch.rows.labelled_ms[learned].max(initial=0))
    if record.trained_through_ms != newest_ms:
        yield f"its newest label came at {newest_ms}, not at {record.trained_through_ms}"
    counts = np.unique(stretch.rows.label[learned], return_counts=True)[1].tolist()
    if record.classes and sorted(filter(None, record.classes.values())) != sorted(counts):
        yield "other counts of classes"
    digests = stretch.digest(learned) + stretch.digest(tried)
    if hashlib.sha256(digests.encode()).hexdigest() != record.data_digest:
        yield "another digest of its data"
