"""Answers one batch after the other: what the logic says becomes visible together with the offsets it answers."""

import time
from importlib.metadata import version
from typing import Final

import numpy as np
import structlog

from freshet.contracts.logic import DeadLetter, Logic
from freshet.contracts.topics import TopicNames
from freshet.runtime.bus import Collected, RefusedError, TooLargeError, Transaction, TransactionalProducer
from freshet.runtime.clock import Clock
from freshet.runtime.jobs import JobRunner
from freshet.runtime.loop_metrics import LoopMetrics
from freshet.runtime.options import LoopOptions
from freshet.runtime.placing import Placing
from freshet.runtime.work import Work

_FIRST_ROWS: Final = 250
"""A restart begins with small batches: one too large for the transaction's timeout would fail again and again."""


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
        self._last_commit_ms = 0
        self._full = False

    def turn(self, timeout_s: float) -> int:
        """Answer what has arrived, waiting at most that long for the first row. Returns the rows answered."""
        self._space()
        got = self._placing.collect(min(self._limit, self._rows_max()), self._options.batch_bytes, timeout_s)
        rows = self._answer(got) if got is not None else 0
        self._placing.place()
        return rows

    def _rows_max(self) -> int:
        return min(self._options.batch_rows, self._logic.limits.rows)

    def _space(self) -> None:
        """Keep transactions a little apart under light load; never when a full batch was just there."""
        if self._full or not self._last_commit_ms:
            return
        interval_ms = self._logic.limits.commit_interval_ms
        early_ms = self._last_commit_ms + interval_ms - self._clock.now_ms()
        if 0 < early_ms <= interval_ms:
            self._clock.sleep(early_ms / 1000)

    def _answer(self, got: Collected) -> int:
        began = time.perf_counter()
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
        self._last_commit_ms = self._clock.now_ms()
        self._metrics.answered(
            got,
            work,
            logic_s=answered - began,
            commit_s=time.perf_counter() - answered,
            now_ms=self._last_commit_ms,
        )
        return work.rows

    def _commit(self, got: Collected, work: Work) -> bool:
        """Make the answers visible with their offsets, or rewind."""
        offsets = work.offsets(self._placing.metadata)
        try:
            if offsets:
                self._producer.commit(Transaction(work.sends, offsets, got.membership))
        except TooLargeError as error:
            self._bisect(got, str(error))
            return False
        except RefusedError as error:
            self._log.warning("refused", error=str(error))
            self._placing.rewind("refused")
            return False
        self._placing.committed(offsets)
        return True

    def _bisect(self, got: Collected, error: str) -> None:
        """An output is larger than its topic takes: narrow the batch down to the row at fault and set it aside."""
        rows = sum(len(batch) for batch in got.batches)
        if rows > 1:
            self._limit = max(1, rows // 2)
            self._placing.rewind("too_large")
            return
        letter = DeadLetter(np.array([0]), "input_output_too_large", [f"its output cannot be written: {error}"])
        work = self._work()
        work.add(got.batches[0], [letter])
        try:
            self._producer.commit(Transaction(work.sends, work.offsets(self._placing.metadata), got.membership))
        except RefusedError as refusal:
            self._log.warning("refused", error=str(refusal))
        # In either case: the logic believes in an answer that was not published.
        self._placing.rewind("too_large")

    def _work(self) -> Work:
        return Work(self._names, self._service, self._version)
