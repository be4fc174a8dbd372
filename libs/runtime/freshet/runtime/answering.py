"""Answers one batch after the other: what the logic says becomes visible together with the offsets it answers."""

import time
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

import numpy as np
import structlog

from freshet.contracts.logic import DeadLetter, Logic
from freshet.contracts.topics import TopicNames
from freshet.runtime.bus import (
    Collected,
    Committed,
    Place,
    RefusedError,
    RetriableError,
    TooLargeError,
    Transaction,
    TransactionalProducer,
)
from freshet.runtime.clock import Clock
from freshet.runtime.dead_letters import CAP_BYTES, record_bytes
from freshet.runtime.jobs import JobRunner
from freshet.runtime.loop_metrics import LoopMetrics
from freshet.runtime.options import LoopOptions
from freshet.runtime.placing import Placing
from freshet.runtime.work import Work

_FIRST_ROWS: Final = 250
"""A restart begins with small batches: one too large for the transaction's timeout would fail again and again."""

_REFUSALS_IN_A_ROW: Final = 3
_FIRST_PAUSE_MS: Final = 200
_LONGEST_PAUSE_MS: Final = 5000


class Answering:
    """Reads, answers and commits: one batch a turn, one transaction a batch."""

    def __init__(
        self,
        logic: Logic,
        names: TopicNames,
        producer: TransactionalProducer,
        placing: Placing,
        *,
        service: str,
        jobs: JobRunner,
        clock: Clock,
        metrics: LoopMetrics,
        options: LoopOptions,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._logic, self._names, self._producer, self._placing = logic, names, producer, placing
        self._service, self._version = service, version("freshet")
        self._jobs, self._clock, self._metrics, self._options, self._log = jobs, clock, metrics, options, log
        self._limit = _FIRST_ROWS
        self._letter_bytes = CAP_BYTES
        self._aside: tuple[tuple[Place, int], DeadLetter] | None = None
        self._refusals: Counter[Place] = Counter()
        self._resume_ms = 0
        self._last_begin_ms: int | None = None
        self._full = False

    def turn(self, timeout_s: float) -> int:
        """Answer what has arrived, waiting at most that long for the first row. Returns the rows answered."""
        pause_ms = self._resume_ms - self._clock.elapsed_ms()
        if pause_ms > 0:
            self._clock.sleep(min(timeout_s, pause_ms / 1000))
            return 0
        self._space()
        got = self._placing.collect(min(self._limit, self._rows_max()), self._options.batch_bytes, timeout_s)
        rows = self._answer(got) if got is not None else 0
        self._placing.place()
        return rows

    def _rows_max(self) -> int:
        return min(self._options.batch_rows, self._logic.limits.rows)

    def _space(self) -> None:
        """Keep transactions a little apart under light load; never when a full batch was just there.

        From begin to begin: what arrives during a commit has waited for that long when the next one begins.
        """
        if self._full or self._last_begin_ms is None:
            return
        interval_ms = self._logic.limits.commit_interval_ms
        early_ms = self._last_begin_ms + interval_ms - self._clock.elapsed_ms()
        if 0 < early_ms <= interval_ms:
            self._clock.sleep(early_ms / 1000)

    def _answer(self, got: Collected) -> int:
        if self._aside is not None and _rows(got) == 1 and _only_row(got) == self._aside[0]:
            self._set_aside(got, self._aside[1])
            return 0
        began, began_ms = time.perf_counter(), self._clock.elapsed_ms()
        work = self._work()
        for batch in got.batches:
            work.add(batch, self._logic.on_batch(batch))
        answered = time.perf_counter()
        self._full = work.rows >= min(self._limit, self._rows_max())
        if work.abort is not None:
            self._placing.rewind(work.abort)
            return 0
        for job in work.jobs:
            self._jobs.start(job)
        if not self._commit(got, work):
            return 0
        for hold in work.holds:
            self._placing.hold(hold)
        self._limit = min(self._limit * 2, self._rows_max())
        self._last_begin_ms = began_ms
        self._metrics.answered(
            got,
            work,
            logic_s=answered - began,
            commit_s=time.perf_counter() - answered,
            now_ms=self._clock.now_ms(),
        )
        return work.rows

    def _commit(self, got: Collected, work: Work) -> bool:
        """Make the answers visible with their offsets, or rewind."""
        offsets = work.offsets(self._placing.metadata)
        try:
            if offsets:
                self._publish(got, work, offsets)
        except TooLargeError as error:
            self._too_large(got, work, str(error))
            return False
        except RefusedError as error:
            self._refused(got, error)
            self._placing.rewind("refused")
            return False
        self._placing.committed(offsets)
        for place in offsets:
            self._refusals.pop(place, None)
        return True

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

    def _too_large(self, got: Collected, work: Work, error: str) -> None:
        """An output is larger than its topic takes: narrow the batch down to the row at fault and set it aside."""
        rows = _rows(got)
        if rows > 1:
            self._limit = max(1, rows // 2)
        else:
            why = [f"its output cannot be written: {error}"]
            letter = DeadLetter(np.array([0]), "input_output_too_large", why)
            if work.letters:
                letter = work.letters[0]
                self._letter_bytes = self._smaller(got, letter)
            self._aside = (_only_row(got), letter)
        # Whatever became of it: the logic believes in an answer that was not published.
        self._placing.rewind("too_large")

    def _set_aside(self, got: Collected, letter: DeadLetter) -> None:
        """Commit the letter of the batch's only row alone, as large as the broker lets it be: its cap is found here.

        In a turn of its own: a client that wrote something too large is replaced at its next commit, which is refused.
        """
        work = self._work()
        work.add(got.batches[0], [letter])
        try:
            self._publish(got, work, work.offsets(self._placing.metadata))
            self._aside = None
        except TooLargeError as error:
            smaller_bytes = self._smaller(got, letter)
            if smaller_bytes >= self._letter_bytes:  # it was the smallest there is
                self._refused(got, error)
            self._letter_bytes = min(smaller_bytes, self._letter_bytes)
        except RefusedError as error:
            self._refused(got, error)
        self._placing.rewind("too_large")

    def _smaller(self, got: Collected, letter: DeadLetter) -> int:
        """A cap below what this letter weighs as it is made now."""
        work = self._work()
        work.add(got.batches[0], [letter])
        return record_bytes(work.sends[0]) - 1

    def _publish(self, got: Collected, work: Work, offsets: Mapping[Place, Committed]) -> None:
        """Commit the answers with their offsets, if what was read is of the topics that they will name.

        Raises RefusedError, or FatalError if an input topic was made anew.
        """
        try:
            self._placing.lives.confirm({batch.role for batch in got.batches})
            self._producer.commit(Transaction(work.sends, self._placing.stamped(offsets), got.membership))
        except RetriableError as error:  # the latter's comes from taking its id anew, before it begins
            raise RefusedError(f"nothing was written: {error}") from error

    def _work(self) -> Work:
        return Work(self._names, self._service, self._version, self._placing.lives.known, self._letter_bytes)


def _rows(got: Collected) -> int:
    return sum(len(batch) for batch in got.batches)


def _only_row(got: Collected) -> tuple[Place, int]:
    """Where the only row of a batch comes from."""
    record = got.batches[0].records[0]
    return Place(got.batches[0].role, record.partition()), record.offset()
