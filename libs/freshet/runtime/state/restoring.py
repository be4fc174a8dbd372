"""Restores the state of one partition, a few thousand records at a time: from what was kept, and from its inputs."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import structlog

from freshet.contracts.batch import Batch
from freshet.contracts.errors import FreshetError, UnheardError
from freshet.contracts.state_messages import StateRecord
from freshet.contracts.stateful import Checkpoint, Slabs, Stateful
from freshet.runtime.bus.protocol import Bus, FatalError, Place, RetriableError
from freshet.runtime.state.frames import Frame, cut
from freshet.runtime.state.state_mark import StateMark
from freshet.runtime.state.state_progress import StateProgress
from freshet.runtime.state.state_records import Kept, range_of, slab_of

STEP_ROWS: Final = 5_000
"""The most records that are read in a step. Between steps the loop turns, so that it stays a member of its group."""
_STEP_BYTES: Final = 4 << 20
"""And about as many bytes of them: a record of the labelled log may have as many rows as thousands of others."""

_WAIT_S: Final = 0.05
_KEPT_RECORDS: Final = 64
"""How many state records are read at once, as they may be large."""
_SLABS_A_STEP: Final = 4
_SKEW_MS: Final = 60_000
"""So far a worker's clock may be ahead of the broker's."""


@dataclass(slots=True)
class _Gap:
    """Rows that have expired, and why they lack. They do not matter if the row after them is out of reach too."""

    role: str
    first: int
    end: int
    why: str
    before_ms: int | None = None


class Restoring:
    """Brings the logic's state of one partition to what its inputs held up to `at`."""

    def __init__(
        self,
        logic: Stateful,
        bus: Bus,
        partition: int,
        at: Mapping[str, int],
        marks: Mapping[str, StateMark | None],
        *,
        topic_ids: Mapping[str, str],
        unreadable: set[str],
        now_ms: int,
    ) -> None:
        """`at` are the committed offsets by input, `marks` what was committed with them; None: nothing was answered.

        `topic_ids` are those of the inputs as they are now, and every row that is yet to come is appended after
        `now_ms`. `unreadable` are digests of bodies that are not to be used; it grows.
        """
        self._unreadable = unreadable
        self._logic, self._bus, self._partition, self._topic_ids = logic, bus, partition, topic_ids
        at = {role: at[role] for role in logic.reads if role in at}  # restored in this order
        self._log = structlog.get_logger("state").bind(partition=partition)
        self._answered = any(mark is not None for mark in marks.values())
        begun = {role: mark or StateMark(at[role], logic.plan, at[role]) for role, mark in marks.items()}
        last_ms = {role: mark.last_ms for role, mark in begun.items()}
        begun = {role: mark._replace(last_ms=0) for role, mark in begun.items()}
        frames = {role: Frame(offset, offset) for role, offset in at.items()}
        self.progress = StateProgress(dict(at), begun, frames, last_ms)
        self._gaps: list[_Gap] = []
        self._now_ms = now_ms
        self._work = self._restore()

    def step(self) -> bool:
        """Go on for some milliseconds; True once the state is there.

        Raises RetriableError (begin anew), StateFormatError (another release wrote it), or FatalError (it is lost).
        """
        rows = 0
        for read in self._work:
            rows += read
            if not read or rows >= STEP_ROWS:
                return False
        return True

    def _restore(self) -> Iterator[int]:
        self._logic.begin(self._partition)
        kept: list[StateRecord] = []
        if self._logic.kept is not None and self._answered:
            kept = yield from self._read_kept(self._logic.kept.role)
        kept = self._of_one_generation(kept)
        if isinstance(self._logic.kept, Checkpoint):
            yield from self._from_checkpoint(kept)
        else:
            for role in self.progress.at:
                yield from self._from_slabs(role, [record for record in kept if record.ranges[0].role == role])
        self._refuse_gaps()
        if self._answered:
            self._log.info("restored", at=self.progress.at, records=len(kept))

    def _read_kept(self, role: str) -> Generator[int, None, list[StateRecord]]:
        place = Place(role, self._partition)
        since = {input_role: mark.since for input_role, mark in self.progress.marks.items()}
        formats = self._logic.state_format, *self._logic.older_formats
        at, ids = self.progress.at, self._topic_ids
        kept = Kept(place, at, since, ids, formats=formats, unreadable=self._unreadable)
        while (span := self._bus.spans(role).get(self._partition)) is not None and span.open:
            yield 0  # what the committed offsets stand for may not be visible yet
        if span is not None:
            for batch in self._read(place, span.low, span.end, _KEPT_RECORDS):
                kept.take(batch)
                yield STEP_ROWS
        return kept.records()

    def _of_one_generation(self, kept: Sequence[StateRecord]) -> list[StateRecord]:
        """Only what was kept of the state that began at the committed marks.

        Where a committed offset was lost, what was kept tells where the state began; else it began with the log.
        """
        marks = self.progress.marks
        for role, lost in [(role, mark) for role, mark in marks.items() if mark.since is None]:
            told = [(record, known) for record in kept for known in record.ranges if known.role == role]
            marks[role] = StateMark(0, self._logic.plan, 0)
            if told:
                record, known = told[-1]
                marks[role] = StateMark(known.since, record.plan, known.plan_first)
            if lost.plan:  # our answers tell of the newest plan, whether or not a slab does
                marks[role] = StateMark(marks[role].since, lost.plan, lost.plan_first)
        return [record for record in kept if all(marks[known.role].since == known.since for known in record.ranges)]

    def _from_checkpoint(self, kept: Sequence[StateRecord]) -> Iterator[int]:
        whole = [record for record in kept if {known.role for known in record.ranges} == self.progress.at.keys()]
        covered: dict[str, int] = {}
        if whole:
            with self._reading(whole[-1]):
                self._logic.load(self._partition, whole[-1].body)
            covered = {known.role: known.end for known in whole[-1].ranges}
            self.progress.rows, self.progress.kept_ms = 0, whole[-1].last_ms
        for role, mark in self.progress.marks.items():
            yield from self._again(role, covered.get(role, mark.since or 0), self.progress.at[role], mark)

    def _from_slabs(self, role: str, slabs: Sequence[StateRecord]) -> Iterator[int]:
        """Slabs and rows of one input in ascending order; from the inputs alone where no slabs are kept."""
        mark = self.progress.marks[role]
        if self._logic.kept is None:  # all of it under the plan of now, whatever it was before
            mark = self.progress.marks[role] = StateMark(mark.since, self._logic.plan, mark.since or 0)
        reach_ms = self._logic.reach_ms
        position = mark.since or 0
        self._open(role, position)
        for kept in sorted(slabs, key=lambda kept: kept.ranges[0].first):
            (known,) = kept.ranges
            if known.first < position:
                continue  # cut otherwise by an earlier owner, and covered
            if reach_ms is not None and kept.last_ms < slabs[-1].last_ms - reach_ms:
                position = known.end  # nor does anything before it matter
                self._open(role, position)
                continue
            yield from self._again(role, position, known.first, StateMark(known.since, kept.plan, known.plan_first))
            self._close(role, known.first, StateMark(known.since, kept.plan, known.plan_first))
            self._seen(role, kept.first_ms, kept.last_ms)
            with self._reading(kept):
                self._logic.load_rows(role, self._partition, kept.body)
            yield STEP_ROWS // _SLABS_A_STEP
            position = known.end
            self._open(role, position, kept.last_ms)
        yield from self._again(role, position, self.progress.at[role], mark)

    @contextmanager
    def _reading(self, record: StateRecord) -> Iterator[None]:
        """A body that is none of the logic's, though its digest fits, counts as lost: all begins anew without it."""
        try:
            yield
        except FreshetError:
            raise
        except Exception as error:  # whatever a decoder makes of bytes that it did not write
            self._unreadable.add(record.digest)
            self._log.error("state_record_damaged", ranges=record.ranges, error=repr(error))
            raise RetriableError(f"what was kept of partition {self._partition} cannot be read: {error!r}") from error

    def _again(self, role: str, first: int, end: int, mark: StateMark) -> Iterator[int]:
        """Take in the rows from first to end again, as far as they exist and their plan is known."""
        place, told = Place(role, self._partition), max(first, min(mark.plan_first, end))
        if first >= end:
            return
        if told > first:
            self._gaps.append(_Gap(role, first, told, "were read under another plan, which nothing tells any more"))
            self._open(role, told)
        unread = True
        for batch in self._read(place, told, end, min(STEP_ROWS, self._logic.limits.rows)):
            if unread:
                self._note_expired(place, told, int(batch.offsets[0]))
            unread = False
            self._seen(role, int(batch.timestamps_ms[0]), int(batch.timestamps_ms.max()))
            self._take_in(batch, mark.plan)
            self.progress.has_read(batch.values)
            self._cut(role, batch, mark)
            size = sum(len(value) for value in batch.values if value)
            yield max(len(batch), STEP_ROWS * size // _STEP_BYTES)
        if unread:
            self._note_expired(place, told, end)

    def _take_in(self, batch: Batch, plan: int) -> None:
        try:
            self._logic.take_in(batch, plan)
        except UnheardError as error:
            raise RetriableError(str(error)) from error

    def _note_expired(self, place: Place, first: int, read: int) -> None:
        """Note a gap if the first row that was read from `first` on lies further on, at `read`."""
        span = self._bus.spans(place.role).get(place.partition)
        low = min(span.low if span is not None else read, read)
        if low > first:
            self._gaps.append(_Gap(place.role, first, low, "are neither kept nor in the topic any more"))
            self._open(place.role, low)

    def _matters(self, gap: _Gap) -> bool:
        """Whether rows that lack are still within reach of the newest one, or of the next one where they are last."""
        reach_ms, last_ms = self._logic.reach_ms, self.progress.last_ms[gap.role]
        if reach_ms is None:
            return True
        if gap.before_ms is None:
            is_due = self._logic.answers_silence or not last_ms
            return is_due or last_ms + reach_ms + _SKEW_MS >= self._next_ms()
        return gap.before_ms >= last_ms - reach_ms

    def _next_ms(self) -> int:
        """When the oldest row that no input was read to yet was appended; now, if all were read to their ends."""
        found = [self._now_ms]
        for role, first in self.progress.at.items():
            span = self._bus.spans(role).get(self._partition)
            if span is not None and first < span.end:
                unread = next(self._read(Place(role, self._partition), first, span.end, 1), None)
                found += [] if unread is None else [int(unread.timestamps_ms[0])]
        return min(found)

    def _refuse_gaps(self) -> None:
        for gap in filter(self._matters, self._gaps):
            place, kept = f"{gap.role}/{self._partition}", self._logic.kept
            raise FatalError(
                f"the state of partition {self._partition} is lost: it rests on {place} {gap.first} to {gap.end}, "
                f"which {gap.why}{f' ({kept.role}, {gap.role})' if kept else ''}. An empty state would answer "
                "otherwise than before, so none begins. Bring the records back from a backup, or publish the pipeline "
                "under a new name: its state then begins anew. Keep inputs longer than a worker may be away."
            )

    def _seen(self, role: str, first_ms: int, last_ms: int) -> None:
        self.progress.has_seen(role, last_ms)
        for gap in self._gaps:
            if gap.role == role and gap.before_ms is None:
                gap.before_ms = first_ms

    def _open(self, role: str, first: int, last_ms: int = 0) -> None:
        self.progress.frames[role] = Frame(first, first, 0, last_ms)

    def _cut(self, role: str, batch: Batch, mark: StateMark) -> None:
        if isinstance(self._logic.kept, Slabs):
            frame, rows = self.progress.frames[role], self._logic.kept.rows
            closed, self.progress.frames[role] = cut(frame, batch.offsets, batch.timestamps_ms, rows)
            self._keep(role, closed, mark)

    def _close(self, role: str, end: int, mark: StateMark) -> None:
        if isinstance(self._logic.kept, Slabs) and self.progress.frames[role].rows:
            self._keep(role, [self.progress.frames[role]._replace(end=end)], mark)

    def _keep(self, role: str, closed: Sequence[Frame], mark: StateMark) -> None:
        mark = mark._replace(since=self.progress.marks[role].since)
        for frame in closed:
            known = range_of(role, self._topic_ids[role], mark, frame.first, frame.end)
            self.progress.unwritten += (slab_of(self._logic, self._partition, known, mark.plan, frame),)

    def _read(self, place: Place, first: int, end: int, limit: int) -> Iterator[Batch]:
        """What the topic holds of these offsets, in order."""
        reader = self._bus.reader([place.role], {place: first})
        try:
            while not reader.caught_up():
                for batch in reader.read(limit, _WAIT_S):
                    count = int(np.searchsorted(batch.offsets, end))
                    if count:
                        yield batch if count == len(batch) else Batch(batch.role, batch.records[:count])
                    if count < len(batch) or batch.offsets[-1] >= end - 1:
                        return
        finally:
            reader.close()
