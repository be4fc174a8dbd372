"""Answers one batch after the other: what the logic says becomes visible together with the offsets it answers."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import Final

import numpy as np
import structlog

from freshet.avro.codec_time import codec_timed
from freshet.contracts.logic import DeadLetter, Logic
from freshet.contracts.stateful import Stateful
from freshet.contracts.topic_table import TopicNames
from freshet.runtime.batch_outcome import BatchOutcome
from freshet.runtime.bus.protocol import (
    Collected,
    Committed,
    Place,
    RefusedError,
    RetriableError,
    Send,
    TooLargeError,
    Transaction,
    TransactionalProducer,
)
from freshet.runtime.clock import Clock
from freshet.runtime.dead_letter_records import ROLE as DEAD_LETTERS
from freshet.runtime.jobs import JobRunner
from freshet.runtime.lookups import Lookups
from freshet.runtime.loop_metrics import LoopMetrics
from freshet.runtime.options import LoopOptions
from freshet.runtime.partitions import Partitions
from freshet.runtime.record_size import largest_bytes

_FIRST_ROWS: Final = 250
"""A restart begins with small batches: one that is too large for the transaction's timeout would fail each time."""

_REFUSALS_IN_A_ROW: Final = 3
_FIRST_PAUSE_MS: Final = 200
_LONGEST_PAUSE_MS: Final = 5000
_LOOK_MS: Final = 60_000


class Transactor:
    """Reads, answers and commits: one batch a turn, one transaction a batch."""

    def __init__(
        self,
        logic: Logic,
        names: TopicNames,
        producer: TransactionalProducer,
        partitions: Partitions,
        *,
        service: str,
        jobs: JobRunner,
        clock: Clock,
        metrics: LoopMetrics,
        options: LoopOptions,
        log: structlog.stdlib.BoundLogger,
        lookups: Lookups,
    ) -> None:
        self._logic, self._names, self._producer, self._partitions = logic, names, producer, partitions
        self._service, self._version = service, version("freshet")
        self._jobs, self._clock, self._metrics, self._options, self._log = jobs, clock, metrics, options, log
        self._lookups, self._letter_bytes = lookups, partial(producer.cap_bytes, DEAD_LETTERS)
        self._limit = _FIRST_ROWS
        self._suspects = 0
        """The next so many rows hold one whose output is too large."""
        self._aside: tuple[tuple[Place, int], DeadLetter] | None = None
        self._refusals: Counter[Place] = Counter()
        self._resume_ms = 0
        self._last_begin_ms: int | None = None
        self._full = False
        self._looked_ms = 0

    def turn(self, timeout_s: float) -> int:
        """Answer what has arrived, waiting at most that long for the first row. Returns the rows answered."""
        pause_ms = self._resume_ms - self._clock.elapsed_ms()
        if pause_ms > 0:
            self._clock.sleep(min(timeout_s, pause_ms / 1000))
            return 0
        limits = self._logic.limits
        self._space(limits.commit_interval_ms)
        rows_max = min(self._options.batch_rows, limits.rows)
        got = self._partitions.collect(min(self._limit, rows_max), self._options.batch_bytes, timeout_s)
        rows = self._answer(got, rows_max) if got is not None else 0
        now_ms = self._clock.now_ms()
        if not 0 <= now_ms - self._looked_ms < _LOOK_MS:
            self._keep_silent(now_ms)
        self._partitions.place(now_ms)
        return rows

    def close(self) -> None:
        """Free what looks up."""
        self._lookups.close()

    def _space(self, interval_ms: int) -> None:
        """Keep transactions a little apart under light load; never when a full batch was just there.

        From begin to begin: what arrives during a commit has waited for that long when the next one begins.
        """
        if self._full or self._last_begin_ms is None:
            return
        early_ms = self._last_begin_ms + interval_ms - self._clock.elapsed_ms()
        if 0 < early_ms <= interval_ms:
            self._clock.sleep(early_ms / 1000)

    def _answer(self, got: Collected, rows_max: int) -> int:
        if self._aside is not None and _rows(got) == 1 and _only_row(got) == self._aside[0]:
            self._set_aside(got, self._aside[1])
            return 0
        began, began_ms = time.perf_counter(), self._clock.elapsed_ms()
        outcome = self._outcome()
        try:
            with codec_timed(time.perf_counter) as codec:
                for batch in got.batches:
                    outcome.add(batch, self._logic.on_batch(batch))
        except RetriableError as error:  # of a lookup
            self._refused(got, RefusedError(f"nothing was written: {error}"))
            self._partitions.rewind("lookup")
            return 0
        answered = time.perf_counter()
        self._full = outcome.rows >= min(self._limit, rows_max)
        if outcome.abort is not None:
            self._partitions.rewind(outcome.abort)
            return 0
        for job in outcome.jobs:
            self._jobs.start(job)
        if not self._commit(got, outcome):
            return 0
        if outcome.holds:
            self._partitions.hold(outcome.holds)
        # Larger batches after a success; but half of what is left, while a row at fault is being searched there.
        self._suspects = max(0, self._suspects - outcome.rows)
        self._limit = max(1, self._suspects // 2) if self._suspects else min(self._limit * 2, rows_max)
        self._last_begin_ms = began_ms
        self._metrics.coded(codec)
        commit_s, now_ms = time.perf_counter() - answered, self._clock.now_ms()
        self._metrics.answered(got, outcome, logic_s=answered - began, commit_s=commit_s, now_ms=now_ms)
        return outcome.rows

    def _commit(self, got: Collected, outcome: BatchOutcome) -> bool:
        """Make the answers visible with their offsets, or rewind."""
        state, offsets = self._partitions.stage(got.batches, outcome.ends, outcome.marks)
        try:
            if offsets:
                self._publish(got, [*outcome.sends, *state], offsets)
        except TooLargeError as error:
            self._too_large(got, outcome, error)
            return False
        except RefusedError as error:
            self._refused(got, error)
            self._partitions.rewind("refused")
            return False
        self._partitions.committed(offsets)
        for place in offsets:
            self._refusals.pop(place, None)
        return True

    def _keep_silent(self, now_ms: int) -> None:
        """Every minute: keep the state of partitions to which nothing has come for long."""
        self._looked_ms = now_ms
        membership, ends = self._partitions.silent(now_ms)
        if not ends:
            return
        self._partitions.starts.lives.ask()
        state, offsets = self._partitions.stage((), ends, {})
        try:
            self._publish(Collected((), membership, interrupted=False), state, offsets)
        except (RefusedError, TooLargeError) as error:
            self._log.warning("silent_state_not_kept", error=str(error))
            self._partitions.rewind("refused")
            return
        self._partitions.committed(offsets)

    def _refused(self, got: Collected, error: RefusedError) -> None:
        """Try again after a pause that grows with each refusal in a row, from the third on with half the rows.

        A row is never set aside for that: what the broker refuses is the moment, not the row.
        """
        places = [Place(batch.role, partition) for batch in got.batches for partition in batch.spans]
        self._refusals.update(places)
        times = max(self._refusals[place] for place in places)
        if times >= _REFUSALS_IN_A_ROW:
            self._limit = max(1, _rows(got) // 2)
        pause_ms = min(_FIRST_PAUSE_MS * 2 ** min(times - 2, 30), _LONGEST_PAUSE_MS) if times > 1 else 0
        self._resume_ms = self._clock.elapsed_ms() + int(pause_ms)
        self._log.warning("refused", error=str(error), times=times, pause_ms=pause_ms)

    def _too_large(self, got: Collected, outcome: BatchOutcome, error: TooLargeError) -> None:
        """Read the same again in smaller parts, down to a row that is too large alone: it is set aside.

        The producer has learnt what the topics take. So this is no refusal to wait after, and letters are made to fit.
        """
        rows = _rows(got)
        if rows > 1:
            self._suspects, self._limit = rows, rows // 2
        elif outcome.letters:
            self._shorten(got, outcome, error)
        else:
            why = [f"its output cannot be written: {error}"]
            self._aside = (_only_row(got), DeadLetter(np.array([0]), "input_output_too_large", why))
        # Whatever became of it: the logic believes in an answer that was not published.
        self._partitions.rewind("too_large")

    def _set_aside(self, got: Collected, letter: DeadLetter) -> None:
        """Commit the letter of the batch's only row in place of its answer."""
        outcome = self._outcome()
        outcome.add(got.batches[0], [letter])
        if isinstance(self._logic, Stateful):
            list(self._logic.on_batch(got.batches[0]))  # for the row's share in the state
        state, offsets = self._partitions.stage(got.batches, outcome.ends, outcome.marks)
        answered = time.perf_counter()
        try:
            self._publish(got, [*outcome.sends, *state], offsets)
            self._aside, self._suspects = None, 0
            commit_s, now_ms = time.perf_counter() - answered, self._clock.now_ms()
            self._metrics.answered(got, outcome, logic_s=0.0, commit_s=commit_s, now_ms=now_ms)
        except TooLargeError as error:
            self._shorten(got, outcome, error)
        except RefusedError as error:
            self._refused(got, error)
        self._partitions.rewind("too_large")

    def _shorten(self, got: Collected, outcome: BatchOutcome, error: TooLargeError) -> None:
        """A letter was too large: nothing to do if it is made smaller next time, else only waiting is left."""
        again = self._outcome()
        again.add(got.batches[0], outcome.letters)
        if largest_bytes(again.sends[0]) >= largest_bytes(outcome.sends[0]):
            self._refused(got, error)

    def _publish(self, got: Collected, sends: Sequence[Send], offsets: Mapping[Place, Committed]) -> None:
        """Commit the answers with their offsets, if what was read is of the topics that they will name.

        Raises RefusedError, or FatalError if an input topic was made anew.
        """
        try:
            confirmed = self._partitions.starts.lives.confirmed(offsets)
            self._producer.commit(Transaction(sends, confirmed, got.membership))
        except RetriableError as error:  # the latter's comes from taking its id anew, before it begins
            raise RefusedError(f"nothing was written: {error}") from error

    def _outcome(self) -> BatchOutcome:
        return BatchOutcome(
            self._names,
            self._service,
            self._version,
            self._partitions.starts.lives.known,
            cap_bytes=self._letter_bytes,
            find=self._lookups.find,
        )


def _rows(got: Collected) -> int:
    return sum(len(batch) for batch in got.batches)


def _only_row(got: Collected) -> tuple[Place, int]:
    """Where the only row of a batch comes from."""
    record = got.batches[0].records[0]
    return Place(got.batches[0].role, record.partition()), record.offset()
