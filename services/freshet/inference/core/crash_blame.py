"""What the deaths of this worker's predecessors say about rows and versions.

A model that crashes leaves no exception. But the shell notes each score call before it begins, so that a process learns
on its start what was in flight when its predecessors died: those that died in a row, each while a version scored.

A row that kills is found by scoring what was in flight at a death one row at a time: two more deaths name it. So one
bad row explains three deaths, and a version with a fourth is itself to blame. Nothing less than that would do: a
process that is killed from outside while it scores leaves the same note, and such kills come in series.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from freshet.contracts.arrays import Floats32, Ints
from freshet.inference.core.model_jobs import Scorer
from freshet.inference.core.vectors import Vectors

ROW_DEATHS: Final = 2
VERSION_DEATHS: Final = 4
VERSION_HANGS: Final = 2

_ALONE_MS: Final = 20_000  # of max.poll.interval.ms, 60 s; the rest is for a call that hangs and for the commit


class Span(NamedTuple):
    """Offsets first to last, both included, of one partition of the features topic."""

    partition: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Flight:
    """A score call: the version, and the rows of the batch (or more: whatever else the batch holds between them).

    `digest` names the version's bytes: in another life of the pipeline its number may be another model's.
    """

    version: str
    spans: tuple[Span, ...]
    digest: str

    @property
    def only_row(self) -> tuple[int, int] | None:
        """Partition and offset if it is a single row, else None."""
        if len(self.spans) != 1 or self.spans[0].first != self.spans[0].last:
            return None
        return self.spans[0].partition, self.spans[0].first


@dataclass(frozen=True, slots=True)
class Death:
    """A process ended in this call; `hung` if it ended itself because the call did not return.

    `shared` if another call ran beside it, of another pipeline or a load: either of them may have done it.
    """

    flight: Flight
    hung: bool = False
    shared: bool = False


def blamed_loads(deaths: Sequence[Death]) -> list[str]:
    """The digest of the version for each of these deaths in a row, each during a load, that it is blamed for.

    A death that it shares counts only if there are many: then nobody can be made to run alone.
    """
    often = Counter(death.flight.digest for death in deaths)
    found = [(death.flight.digest, death.shared) for death in deaths]
    return [digest for digest, shared in found if not shared or often[digest] >= VERSION_DEATHS]


class CrashBlame:
    """Judges rows and models by the deaths since the last process that ended otherwise. Pure; never changes.

    Models are named by their digests. One that a model shares with another call makes its rows suspects, but counts
    against neither.
    """

    def __init__(self, deaths: Sequence[Death] = ()) -> None:
        counted = [death for death in deaths if not death.shared]
        self._spans: dict[str, list[Span]] = {}
        for death in deaths:
            self._spans.setdefault(death.flight.digest, []).extend(death.flight.spans)
        lone = Counter((death.flight.digest, death.flight.only_row) for death in counted)
        self._killers = [
            (digest, row) for (digest, row), count in lone.items() if row is not None and count >= ROW_DEATHS
        ]
        self.killed = frozenset(digest for digest, _ in self._killers)
        """Models that some row kills."""
        self._counts = Counter(death.flight.digest for death in counted)
        self._hangs = Counter(death.flight.digest for death in counted if death.hung)

    def to_blame(self) -> dict[str, str]:
        """Models that may not answer here any more, each with a sentence that says why."""
        return {
            digest: f"{count} processes in a row died while it scored, {self._hangs[digest]} of them because it hung."
            for digest, count in self._counts.items()
            if count >= VERSION_DEATHS or self._hangs[digest] >= VERSION_HANGS
        }

    def is_suspect(self, digest: str, spans: Mapping[int, tuple[int, int]]) -> bool:
        """Whether any row within these first and last offsets, by partition, was in flight when the model died."""
        nowhere = (0, -1)
        return any(
            death.first <= spans.get(death.partition, nowhere)[1]
            and spans.get(death.partition, nowhere)[0] <= death.last
            for death in self._spans.get(digest, ())
        )

    def in_doubt(self, spans: Mapping[int, tuple[int, int]]) -> bool:
        """Whether any model died on rows within these first and last offsets, by partition."""
        return any(self.is_suspect(digest, spans) for digest in self._spans)

    def killers(self, digest: str, vectors: Vectors) -> Ints:
        """Which of these rows must not reach this model again: each was alone in flight at two deaths."""
        rows = [row for killed, row in self._killers if killed == digest]
        if not rows:
            return np.empty(0, np.int64)
        partitions, offsets = vectors.places()
        found = [(partitions == partition) & (offsets == offset) for partition, offset in rows]
        return np.flatnonzero(np.logical_or.reduce(found))


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
        self.careful = False
        """Whether some version died on rows of the batch at hand."""
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
        spans, digest = vectors.batch.spans, scorer.manifest.digest
        if self.careful and self._blame.is_suspect(digest, spans):
            places = zip(*(column.tolist() for column in vectors.places()), strict=True)
            flights = [Flight(version, (Span(partition, offset, offset),), digest) for partition, offset in places]
            parts = np.split(matrix, len(matrix))
        else:
            flights = [Flight(version, tuple(Span(partition, *ends) for partition, ends in spans.items()), digest)]
            parts = [matrix]
        scores = []
        for flight, rows in zip(flights, parts, strict=True):
            with self._guard(flight, scorer, self.batch_p99_ms):
                scores.append(scorer.score(rows))
        return scores[0] if len(scores) == 1 else np.concatenate(scores)
