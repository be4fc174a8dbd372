"""Reads the labelled log of a pipeline: how long it is, and the records of a range of its rows."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Final

from freshet.contracts.messages import Outcomes
from freshet.outcomes.log_rows import Stretch, early_ms, ends_after, stretch_of
from freshet.outcomes.outcome_records import records_of
from freshet.retraining.core.train_job import Measure, Measured
from freshet.runtime.bus.protocol import Bus, Place, RetriableError
from freshet.training.trainer import TrainingError

_LOG: Final = Place("outcomes", 0)
_RECORDS: Final = 500
_READ_S: Final = 1.0
_PATIENCE_S: Final = 30.0
_FIRST_LOOK: Final = 64
"""Offsets to look back at first; then twice as many, and so on."""


class RowsExpiredError(TrainingError):
    """The labelled log no longer has rows that are asked for."""


class _Record:
    """A record with its place."""

    __slots__ = ("at_ms", "offset", "outcomes")

    def __init__(self, offset: int, at_ms: int, outcomes: Outcomes) -> None:
        self.offset, self.at_ms, self.outcomes = offset, at_ms, outcomes


def measure(job: Measure, bus: Bus) -> Measured:
    """See `Measure`. `bus` is one of the pipeline. A log that is not there has no rows.

    Raises RetriableError, and NewerRecordError on a record of a later release.
    """
    topic_id, span = bus.topic_id(_LOG.role), bus.spans(_LOG.role).get(_LOG.partition)
    before = job.before if span is not None and _of_same_log(job.before, topic_id, span.end) else None
    if span is None or span.end <= span.low:
        return before or Measured(0, -1, 0, {}, topic_id)
    if before is None or before.low != span.low:
        oldest = next(_read(bus, job.pipeline, span.low, span.end), None)
        nothing = Measured(0, -1, 0, {}, topic_id, span.low, oldest.at_ms if oldest else 0)
    else:
        nothing = replace(before, rows=0, through=-1, at_ms=0, ends={}, late_rows=0)
    if before is not None and before.through >= span.low:
        known = replace(before, low=nothing.low, since_ms=nothing.since_ms)
        found, newest = _measured(known, list(_read(bus, job.pipeline, before.through + 1, span.end)))
    else:
        found, newest = _tail(bus, job.pipeline, nothing, span.end, job.partitions)
    return replace(found, late_rows=_late_rows(bus, job.pipeline, nothing, found, newest) if job.late else 0)


def _late_rows(bus: Bus, pipeline: str, nothing: Measured, found: Measured, newest: _Record | None) -> int:
    """How many rows were appended since predictions of the newest record were made."""
    if newest is None:
        _, newest = _tail(bus, pipeline, nothing, found.through + 1, len(found.ends))
    asked_ms = early_ms(newest.outcomes) if newest is not None else None
    if asked_ms is None:
        return 0
    then = bus.offsets_at(_LOG.role, asked_ms)[_LOG.partition]
    earlier, _ = _tail(bus, pipeline, nothing, min(then, found.through + 1), len(found.ends))
    return found.rows - earlier.rows


def _of_same_log(before: Measured | None, topic_id: str, end: int) -> bool:
    """Whether an earlier look was at the log that there is now; where the broker tells no ids, one that is shorter."""
    return before is not None and before.topic_id == topic_id and before.through < end


def _tail(bus: Bus, pipeline: str, nothing: Measured, end: int, partitions: int) -> tuple[Measured, _Record | None]:
    """The log up to this offset, and its newest record; read from behind until all partitions have told their rows."""
    back = _FIRST_LOOK
    while True:
        start = max(nothing.low, end - back)
        found, newest = _measured(nothing, list(_read(bus, pipeline, start, end)))
        if start == nothing.low or len(found.ends) >= partitions:
            return found, newest
        back *= 2


def read_stretch(
    bus: Bus, pipeline: str, from_row: int, end_row: int, through: int, *, width: int, classes: int
) -> Stretch:
    """The rows from `from_row` on, or from the oldest that the log still has, to those of the record at `through`.

    Some before them come along, as records are read whole. `end_row` is the number behind the last one. Raises
    RowsExpiredError if the log does not hold that record any more, RetriableError, and ContractError.
    """
    span = bus.spans(_LOG.role).get(_LOG.partition)
    low = span.low if span is not None else through + 1
    if low > through:
        raise RowsExpiredError(
            f"the labelled log no longer holds its record {through}, which has the last row to learn from: retention "
            "has taken it. Start the training anew, or raise the retention of its topic."
        )
    back = _FIRST_LOOK
    while True:
        start = max(low, through + 1 - back)
        records = list(_read(bus, pipeline, start, through + 1))
        _check_numbers(records, end_row, through, whole=start == 0)
        if start == low or end_row - sum(record.outcomes.rows for record in records) <= from_row:
            return stretch_of([record.outcomes for record in records], end_row, width=width, classes=classes)
        back *= 2


def _check_numbers(records: list[_Record], end_row: int, through: int, *, whole: bool) -> None:
    """Raise RowsExpiredError where these cannot be the records up to `through` of the log that was measured."""
    ends: dict[int, int] = {}
    for record in records:
        ends = ends_after(ends, record.outcomes)
    rows = sum(ends.values())
    if not records or records[-1].offset != through or rows > end_row or (whole and rows != end_row):
        raise RowsExpiredError(
            f"the labelled log is another one than when this training began: its record {through} does not end with "
            f"row {end_row:,}. Its topic was deleted and made anew; the next training learns from the new one."
        )


def _measured(before: Measured, records: list[_Record]) -> tuple[Measured, _Record | None]:
    """What is known after these records, and the newest of them."""
    ends = before.ends
    for record in records:
        ends = ends_after(ends, record.outcomes)
    if not records:
        return before, None
    newest = records[-1]
    return replace(before, rows=sum(ends.values()), through=newest.offset, at_ms=newest.at_ms, ends=ends), newest


def _read(bus: Bus, pipeline: str, start: int, end: int) -> Iterator[_Record]:
    """The records at the offsets [start, end), in order."""
    if start >= end:
        return
    silent_s = 0.0
    with closing(bus.reader([_LOG.role], {_LOG: start})) as reader:
        while not reader.caught_up():
            batches = reader.read(_RECORDS, _READ_S)
            silent_s = 0.0 if batches else silent_s + _READ_S
            if silent_s > _PATIENCE_S:
                raise RetriableError(f"the labelled log gave nothing for {_PATIENCE_S:.0f} s. Is the broker well?")
            for batch in batches:
                for row, record in records_of(pipeline, batch).records:
                    if batch.offsets[row] >= end:
                        return
                    yield _Record(int(batch.offsets[row]), int(batch.timestamps_ms[row]), record)
