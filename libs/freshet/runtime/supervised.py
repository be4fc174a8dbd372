"""A loop that outlives its own failures: one pipeline's trouble does not end its neighbours in the process."""

from collections.abc import Callable
from typing import Final, Protocol

import structlog

from freshet.contracts.errors import FreshetError
from freshet.contracts.logic import LeaveError
from freshet.runtime.bus.protocol import RetriableError
from freshet.runtime.clock import Clock
from freshet.runtime.needed import TopicsMissingError

_FIRST_PAUSE_MS: Final = 1000
_LONGEST_PAUSE_MS: Final = 60_000
_FIRST_ABSENCE_MS: Final = 40_000
"""Longer than session.timeout.ms: only then does the group give a fixed slot's partitions to another."""
_LONGEST_ABSENCE_MS: Final = 640_000
_WELL_MS: Final = 120_000
"""A loop that lived for so long has recovered: its next failure counts as the first."""
_LOOK_AGAIN_MS: Final = 1000
_NOT_YET: Final = (TopicsMissingError, RetriableError)
"""Why there is no loop yet, though nothing has failed: its topics are not there, or Kafka does not answer."""
_NO_FAILURE: Final = (LeaveError, *_NOT_YET)


class Turning(Protocol):
    """A loop as its process sees it."""

    @property
    def beat_s(self) -> float: ...
    def step(self, timeout_s: float) -> int: ...
    def unready(self) -> str | None: ...
    def close(self) -> None: ...


class Supervised:
    """Makes a loop; after a failure, or when it leaves its partitions to others, makes a new one after a pause."""

    def __init__(
        self,
        make: Callable[[], Turning],
        clock: Clock,
        pipeline: str,
        check: Callable[[], None] = lambda: None,
        *,
        service: str = "",
    ) -> None:
        """`check` is called before each `make`: while it raises TopicsMissingError, no loop is made.

        Both may raise RetriableError, when Kafka goes away just then: that is no failure, and a second later they are
        called again.
        `service` is the loop's, of which the process may have several.
        """
        self._make, self._check, self._clock = make, check, clock
        self._log = structlog.get_logger("main").bind(pipeline=pipeline)
        self.pipeline, self.service = pipeline, service
        self._loop: Turning | None = None
        self._failures = self._due_ms = self._made_ms = 0
        self.error: FreshetError | None = None

    @property
    def beat_s(self) -> float:
        """When the loop last turned; now, while there is none."""
        return self._loop.beat_s if self._loop is not None else self._clock.elapsed_ms() / 1000

    @property
    def failed(self) -> bool:
        """Whether it is down because of an error, and does not stay away on purpose or wait for its topics or Kafka."""
        return self._loop is None and self.error is not None and not isinstance(self.error, _NO_FAILURE)

    def step(self, timeout_s: float) -> int:
        """One turn of the loop, or a part of its pause."""
        if self._loop is None and self._clock.elapsed_ms() < self._due_ms:
            self._clock.sleep(timeout_s)
            return 0
        try:
            if self._loop is None:
                self._check()
                self._loop, self._made_ms = self._make(), self._clock.elapsed_ms()
            return self._loop.step(timeout_s)
        except _NOT_YET as error:
            if not isinstance(error, TopicsMissingError):  # else the check has said so
                self._log.warning("retrying", error=str(error))
            self.error, self._due_ms = error, self._clock.elapsed_ms() + _LOOK_AGAIN_MS
            return 0
        except FreshetError as error:
            self._fail(error)
            return 0

    def unready(self) -> str | None:
        """Why it cannot serve."""
        if self._loop is not None:
            return self._loop.unready()
        if self.error is None:
            return "starting"
        named = self.pipeline and not isinstance(self.error, _NOT_YET)
        return f"pipeline {self.pipeline}: {self.error}" if named else str(self.error)

    def close(self) -> None:
        """Close the loop, if there is one."""
        if self._loop is not None:
            self._loop.close()
            self._loop = None

    def _fail(self, error: FreshetError) -> None:
        lived_ms = self._clock.elapsed_ms() - self._made_ms
        self._failures = 1 if lived_ms > _WELL_MS else self._failures + 1
        leaves = isinstance(error, LeaveError)
        first_ms, most_ms = (_FIRST_ABSENCE_MS, _LONGEST_ABSENCE_MS) if leaves else (_FIRST_PAUSE_MS, _LONGEST_PAUSE_MS)
        pause_ms = min(first_ms * 2 ** min(self._failures - 1, 20), most_ms)
        self.error = error
        self._log.error("away" if leaves else "failed", error=str(error), again_in_s=pause_ms / 1000)
        self.close()
        self._due_ms = self._clock.elapsed_ms() + pause_ms
