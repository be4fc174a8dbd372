"""When somebody has to look how long the labelled log is. Losing what was seen costs another look."""

from collections.abc import Iterable
from typing import Any, Final

from freshet.contracts.logic import Outcome, Start
from freshet.retraining.core.train_job import Measure, Measured

_EVERY_MS: Final = 1_000
"""A look reads a few records at the end of one partition."""


class Looks:
    """At most one look at a time for each pipeline, and each look answers one question."""

    def __init__(self) -> None:
        self._asked_ms: dict[str, int] = {}
        self._asked_for: dict[str, frozenset[tuple[str, str]]] = {}
        self._running: set[str] = set()
        self._found: dict[str, Measured] = {}
        self._last: dict[str, Measured] = {}

    def end(self, outcome: Outcome[Any]) -> None:
        """A look has ended; of one that failed nothing is known, and the next one comes in its turn."""
        match outcome:
            case Outcome(Measure() as job, (Measured() | None) as found):
                self._running.discard(job.pipeline)
                if found is not None:
                    self._found[job.pipeline] = self._last[job.pipeline] = found

    def take(self, pipeline: str, waiting: Iterable[tuple[str, str]]) -> Measured | None:
        """What a look has found that began when all of `waiting` were known; each is handed out once."""
        if not self._asked_for.get(pipeline, frozenset()).issuperset(waiting):
            return None
        return self._found.pop(pipeline, None)

    def next(
        self, pipeline: str, partitions: int, waiting: Iterable[tuple[str, str]], now_ms: int, *, late: bool
    ) -> list[Start]:
        """The look to begin now: at once for an occasion that no look was for, else once a second.

        `late`: some of `waiting` ask how late labels are.
        """
        asked = frozenset(waiting)
        news = not asked <= self._asked_for.get(pipeline, frozenset())
        due = now_ms - self._asked_ms.get(pipeline, now_ms - _EVERY_MS) >= _EVERY_MS
        if pipeline in self._running or not (news or due):
            return []
        self._running.add(pipeline)
        self._found.pop(pipeline, None)  # it knows nothing of what this one is for
        self._asked_ms[pipeline], self._asked_for[pipeline] = now_ms, asked
        return [Start(Measure(pipeline, partitions, self._last.get(pipeline), late))]
