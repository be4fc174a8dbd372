"""Keeps the state of a logic: what a batch stages becomes part of it when the batch's transaction is committed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from freshet.contracts.arrays import Ints
from freshet.contracts.batch import Batch
from freshet.contracts.state_messages import StateRange, StateRecord
from freshet.contracts.stateful import Checkpoint, Slabs, Stateful
from freshet.runtime.bus.protocol import Bus, Committed, Place, Send
from freshet.runtime.state.frames import Frame, cut
from freshet.runtime.state.restoring import Restoring
from freshet.runtime.state.state_mark import StateMark, lives_of
from freshet.runtime.state.state_progress import StateProgress
from freshet.runtime.state.state_records import range_of, record_of, sent, slab_of

_MADE_ANEW_AT_ONCE: Final = 4
"""How many lost slabs are written anew in one transaction, beside its own: all at once could be too large."""


class Keeper:
    """Knows for each partition which offsets its state includes, and which it would include with what is staged."""

    def __init__(self, logic: Stateful, bus: Bus, topic_ids: Mapping[str, str]) -> None:
        """`topic_ids` are those of the input topics, by role, as soon as they are known."""
        self._logic, self._bus, self._topic_ids = logic, bus, topic_ids
        self._known: dict[int, StateProgress] = {}
        self._staged: dict[int, StateProgress] = {}
        self._restoring: dict[int, Restoring] = {}
        self._unreadable: set[str] = set()
        """Digests of state records whose bodies the logic could not read."""

    @property
    def restoring(self) -> int:
        """How many partitions are being restored."""
        return len(self._restoring)

    def ready(self, partition: int, committed: Mapping[str, Committed], now_ms: int) -> bool:
        """Bring the state to these committed offsets of all its inputs, a step at a time; True once it is there.

        `now_ms` is the time of day: rows that are yet to come are appended later.
        This also settles a commit that was in doubt: the offsets are either those before its batch or those after it.
        """
        at = {role: found.offset for role, found in committed.items()}
        search = self._restoring.get(partition)
        if search is None or search.progress.at != at:
            if self._goes_on(partition, at):
                return True
            marks = {role: self._mark(found.metadata) for role, found in committed.items()}
            ids, unreadable = self._topic_ids, self._unreadable
            search = Restoring(
                self._logic, self._bus, partition, at, marks, topic_ids=ids, unreadable=unreadable, now_ms=now_ms
            )
        self._restoring.pop(partition, None)  # whatever goes wrong, it begins anew
        if not search.step():
            self._restoring[partition] = search
            return False
        self._known[partition] = search.progress
        return True

    @property
    def _lives(self) -> str:
        return lives_of(self._topic_ids, self._logic.reads)

    def _mark(self, metadata: str) -> StateMark | None:
        """What was committed, if it is of the topics that there are now."""
        _, mark = StateMark.split(metadata)
        return mark._replace(lives="") if mark is not None and mark.lives in {"", self._lives} else None

    def _goes_on(self, partition: int, at: Mapping[str, int]) -> bool:
        known, staged = self._known.get(partition), self._staged.pop(partition, None)
        if known is not None and known.at == at and not self._is_outdated(known):
            self._logic.discarded(partition)
            return True
        if staged is not None and staged.at == at and not self._is_outdated(staged):
            self._known[partition] = staged
            self._logic.committed(partition)
            return True
        self.forget(partition)
        return False

    def outdated(self, partition: int) -> bool:
        """Whether this state was read under another plan which nothing has kept: inputs must be read again."""
        known = self._known.get(partition)
        return known is not None and self._is_outdated(known)

    def _is_outdated(self, progress: StateProgress) -> bool:
        return self._logic.kept is None and any(mark.plan != self._logic.plan for mark in progress.marks.values())

    def forget(self, partition: int) -> None:
        """The state of this partition is of no use here any more."""
        self._restoring.pop(partition, None)
        self._staged.pop(partition, None)
        if self._known.pop(partition, None) is not None:
            self._logic.forget(partition)

    def forget_all_but(self, partitions: Iterable[int]) -> None:
        """Forget the state of all other partitions: had they come back to us, they would have done so by now."""
        for partition in self._known.keys() - set(partitions):
            self.forget(partition)

    def silent(self, now_ms: int) -> list[int]:
        """Partitions that got nothing for so long that the rows since their last checkpoint should be kept now.

        Else these rows would be all that a restart has to go on from, and they expire some day.
        """
        if not isinstance(self._logic.kept, Checkpoint):
            return []
        newest_ms = now_ms - self._logic.kept.span_ms
        return [
            partition
            for partition, known in self._known.items()
            if known.rows and partition not in self._restoring and max(known.last_ms.values()) <= newest_ms
        ]

    def stage(
        self, batches: Sequence[Batch], offsets: Mapping[Place, Committed]
    ) -> tuple[list[Send], dict[Place, Committed]]:
        """State records for the transaction of these batches, and its offsets, whose metadata describes the state.

        Without batches the state stays what it is, and is kept.
        """
        records: list[StateRecord] = []
        marked = dict(offsets)
        for partition in sorted({place.partition for place in offsets}):
            ends = {place.role: at.offset for place, at in offsets.items() if place.partition == partition}
            staged = self._staged[partition] = self._next(self._known[partition], ends)
            records += staged.unwritten[:_MADE_ANEW_AT_ONCE]
            staged.unwritten = staged.unwritten[_MADE_ANEW_AT_ONCE:]
            rows = {batch.role: batch.rows(partition) for batch in batches if batch.role in ends}
            for batch in batches:
                if batch.role in rows and rows[batch.role].size:
                    staged.has_seen(batch.role, int(batch.timestamps_ms[rows[batch.role]].max()))
            records += self._kept(partition, staged, {batch.role: batch for batch in batches}, rows)
            for role in ends:
                place = Place(role, partition)
                metadata, _ = StateMark.split(offsets[place].metadata)
                mark = staged.marks[role]._replace(lives=self._lives, last_ms=staged.last_ms[role])
                marked[place] = Committed(offsets[place].offset, mark.beside(metadata))
        return sent(self._logic.kept, records, self._lives) if self._logic.kept else [], marked

    def committed(self, partitions: Iterable[int]) -> None:
        """The transaction of what was staged for these became visible."""
        for partition in partitions:
            self._known[partition] = self._staged.pop(partition)
            self._logic.committed(partition)

    def _next(self, known: StateProgress, ends: Mapping[str, int]) -> StateProgress:
        """The progress of the state after this batch, which a new plan applies to from its first row on."""
        plan = self._logic.plan
        marks = {
            role: mark if mark.plan == plan else StateMark(mark.since, plan, self._switch(known, role))
            for role, mark in known.marks.items()
        }
        at, frames, last_ms = known.at | dict(ends), dict(known.frames), dict(known.last_ms)
        return replace(known, at=at, marks=marks, frames=frames, last_ms=last_ms)

    def _switch(self, known: StateProgress, role: str) -> int:
        """The first offset under a new plan. If the open frame has no rows, that is where this frame begins."""
        frame = known.frames[role]
        return frame.first if isinstance(self._logic.kept, Slabs) and not frame.rows else known.at[role]

    def _kept(
        self, partition: int, staged: StateProgress, batches: Mapping[str, Batch], rows: Mapping[str, Ints]
    ) -> list[StateRecord]:
        known = self._known[partition]
        if isinstance(self._logic.kept, Slabs):
            return self._slabs(partition, staged, batches, rows)
        if not isinstance(self._logic.kept, Checkpoint):
            return []
        for role, at in rows.items():
            staged.has_read([batches[role].values[row] for row in at.tolist()])
        due = self._logic.kept
        newest_ms = max(staged.last_ms.values(), default=0)
        is_small = staged.rows is not None and staged.rows < due.rows and staged.input_bytes < due.input_bytes
        is_young = newest_ms < staged.kept_ms + due.span_ms
        if batches and is_small and is_young and staged.marks == known.marks:
            return []
        staged.rows, staged.input_bytes, staged.kept_ms = 0, 0, newest_ms
        ranges = [
            range_of(role, self._topic_ids[role], mark, mark.since or 0, staged.at[role])
            for role, mark in staged.marks.items()
        ]
        body = self._logic.dump(partition)
        times_ms = (0, newest_ms)
        return [record_of(partition, ranges, self._logic.plan, self._logic.state_format, body, times_ms=times_ms)]

    def _slabs(
        self, partition: int, staged: StateProgress, batches: Mapping[str, Batch], rows: Mapping[str, Ints]
    ) -> list[StateRecord]:
        """The slabs that this batch closes; a new plan closes those that were open under the old one."""
        assert isinstance(self._logic.kept, Slabs)
        known, records = self._known[partition], list[StateRecord]()
        for role, was in known.marks.items():
            frame, now = known.frames[role], staged.marks[role]
            if now != was and frame.rows:
                done = frame._replace(end=known.at[role])
                records.append(slab_of(self._logic, partition, self._range(role, was, done), was.plan, done))
                frame = frame.then(known.at[role])
            if role in rows and rows[role].size:
                at = rows[role]
                offsets, times_ms = batches[role].offsets[at], batches[role].timestamps_ms[at]
                closed, frame = cut(frame, offsets, times_ms, self._logic.kept.rows)
                records += [
                    slab_of(self._logic, partition, self._range(role, now, done), now.plan, done) for done in closed
                ]
            staged.frames[role] = frame
        return records

    def _range(self, role: str, mark: StateMark, frame: Frame) -> StateRange:
        return range_of(role, self._topic_ids[role], mark, frame.first, frame.end)
