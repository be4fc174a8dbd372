"""Runs jobs outside the loop, one at a time, and hands their outcomes back."""

import queue
import threading
from collections.abc import Callable
from typing import Protocol

from freshet.contracts.errors import FreshetError
from freshet.contracts.logic import Outcome

Runner = Callable[[object], object]


class JobRunner(Protocol):
    """Runs what a logic starts, and hands the outcomes back."""

    def start(self, job: object) -> None:
        """Take the job on."""

    def outcomes(self) -> list[Outcome]:
        """Outcomes since the last call. Never blocks."""


class Jobs:
    """One background thread that runs what a logic starts, in order.

    An expected failure (FreshetError) becomes the outcome's error; anything else is a bug and is raised in the owner
    thread.
    """

    def __init__(self, run: Runner) -> None:
        self._run = run
        self._todo: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="jobs", daemon=True).start()

    def start(self, job: object) -> None:
        """See `JobRunner`. Never blocks."""
        self._todo.put(job)

    def outcomes(self) -> list[Outcome]:
        """See `JobRunner`. Raises what a job raised that is no FreshetError."""
        found: list[Outcome] = []
        while True:
            try:
                outcome = self._done.get_nowait()
            except queue.Empty:
                return found
            if isinstance(outcome, BaseException):
                raise outcome
            found.append(outcome)

    def _work(self) -> None:
        while True:
            job = self._todo.get()
            try:
                self._done.put(Outcome(job, result=self._run(job)))
            except FreshetError as error:
                self._done.put(Outcome(job, error=str(error)))
            except BaseException as error:  # raised again in the owner thread
                self._done.put(error)


class InlineJobs:
    """Runs each job at once in the calling thread: deterministic, for tests."""

    def __init__(self, run: Runner) -> None:
        self._run = run
        self._outcomes: list[Outcome] = []

    def start(self, job: object) -> None:
        """See `JobRunner`."""
        try:
            self._outcomes.append(Outcome(job, result=self._run(job)))
        except FreshetError as error:
            self._outcomes.append(Outcome(job, error=str(error)))

    def outcomes(self) -> list[Outcome]:
        """See `JobRunner`."""
        found, self._outcomes = self._outcomes, []
        return found
