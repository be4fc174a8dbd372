"""Calls of models: each under guard, and one row at a time where a row may kill the process."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

import numpy as np

from freshet.contracts.arrays import Floats32
from freshet.inference.core.crash_blame import CrashBlame, Flight, Span
from freshet.inference.core.model_jobs import Scorer
from freshet.inference.core.vectors import Vectors

_ALONE_MS: Final = 20_000  # of max.poll.interval.ms, 60 s; the rest is for a call that hangs and for the commit

Guard = Callable[[Flight, Scorer, int], AbstractContextManager[object]]
"""What the shell puts around a score call: it notes the flight for a successor, and interrupts a call that takes far
longer than the milliseconds given, the pipeline's limit of a batch. It changes no answer."""


def unguarded(flight: Flight, scorer: Scorer, batch_p99_ms: int) -> AbstractContextManager[object]:  # noqa: ARG001
    """A guard that does nothing: where nothing can hang or crash."""
    return nullcontext()


class GuardedCalls:
    """Scores rows under guard. Rows that were in flight at a death of the version are scored one at a time."""

    def __init__(self, blame: CrashBlame, guard: Guard) -> None:
        self._blame, self._guard = blame, guard
        self.batch_p99_ms = 0
        """The pipeline's limit for its largest batch."""

    @property
    def alone_rows(self) -> int:
        """How many rows may be scored one at a time in one batch, though each take as long as a whole batch may."""
        return max(1, _ALONE_MS // max(1, self.batch_p99_ms))

    def score(self, scorer: Scorer, version: str, vectors: Vectors, matrix: Floats32) -> Floats32:
        """Scores (n, outputs) of the rows' inputs (n, inputs); a row's scores do not depend on its company.

        Raises what the scorer raises.
        """
        spans = vectors.batch.spans
        if not self._blame.is_suspect(version, spans):
            return self._call(scorer, Flight(version, tuple(Span(at, *ends) for at, ends in spans.items())), matrix)
        partitions, offsets = vectors.places()
        alone = [
            self._call(scorer, Flight(version, (Span(partition, offset, offset),)), matrix[row : row + 1])
            for row, (partition, offset) in enumerate(zip(partitions.tolist(), offsets.tolist(), strict=True))
        ]
        return np.concatenate(alone)

    def _call(self, scorer: Scorer, flight: Flight, matrix: Floats32) -> Floats32:
        with self._guard(flight, scorer, self.batch_p99_ms):
            return scorer.score(matrix)
