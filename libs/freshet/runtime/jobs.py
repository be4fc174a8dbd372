"""Runs jobs outside the loop, in queues, and hands their outcomes back."""

import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Any, Final, Protocol

from freshet.contracts.errors import FreshetError
from freshet.contracts.logic import Job, JobError, Outcome
from freshet.runtime.bus.protocol import FatalError

HURRY_S: Final = 0.01
"""How long a loop waits for news while a job may end any moment: nothing can wake it from there."""
_SHORT_S: Final = 5.0
_MOST_GIVEN_UP: Final = 3  # each holds its memory, and perhaps a processor


class Stop(Protocol):
    """Tells a long job whether anybody still waits for its result."""

    def is_set(self) -> bool:
        """True once it had better end. What it returns then is thrown away."""


Runner = Callable[[Job[Any], Stop], object]
"""Does a job and returns its result. Raises FreshetError for a failure that the logic is to judge."""


class JobRunner(Protocol):
    """Runs what a logic starts, and hands the outcomes back: exactly one for each job."""

    def start(self, job: Job[Any]) -> None:
        """Take the job on. It replaces a job of its queue that has not begun."""

    def cancel(self, queue: str) -> None:
        """Drop what waits in this queue, and tell what runs there to stop. Both end with a JobError."""

    def outcomes(self) -> list[Outcome[Any]]:
        """Outcomes since the last call. Never blocks."""

    def hurry(self) -> bool:
        """Whether a job is likely to end within moments, so that nobody should wait long for anything else."""

    def close(self) -> None:
        """Take no more jobs, drop what waits, and tell what runs to stop. Never blocks."""


class Jobs:
    """Background threads that run what a logic starts, queue by queue in the order in which their jobs came.

    An expected failure (FreshetError) becomes the outcome's error; anything else is a bug and is raised in the owner
    thread.

    A job that takes longer than its limit is told to stop and given up: its outcome is a JobError, its thread is left
    alone (no thread can be ended from outside), and another one takes the next job. The process is kept because it
    serves well all that does not need this job; ending it would give the same job to its successor. Only the third
    such job ends it, with FatalError: by then there is something wrong with the process.
    """

    def __init__(self, run: Runner, *, at_once: int = 1, now_s: Callable[[], float] = time.monotonic) -> None:
        """`at_once` jobs run beside each other, but never two of one queue."""
        self._run, self._now_s = run, now_s
        self._waiting: dict[str | int, Job[Any]] = {}
        self._running: dict[str | int, _Run] = {}
        self._done: list[Outcome[Any] | BaseException] = []
        self._changed = threading.Condition()
        self._own_queues = count()
        self._given_up = 0
        self._closing = False
        for _ in range(at_once):
            self._engage()

    def start(self, job: Job[Any]) -> None:
        """See `JobRunner`. Never blocks."""
        queue = job.queue or next(self._own_queues)
        with self._changed:
            if replaced := self._waiting.get(queue):
                self._done.append(_ended(replaced, "replaced", "a newer one took its place before it began."))
            self._waiting[queue] = job
            self._changed.notify()

    def cancel(self, queue: str) -> None:
        """See `JobRunner`."""
        with self._changed:
            if dropped := self._waiting.pop(queue, None):
                self._done.append(_ended(dropped, "cancelled", "it was cancelled before it began."))
            if running := self._running.get(queue):
                running.stop.set()

    def outcomes(self) -> list[Outcome[Any]]:
        """See `JobRunner`. Raises what a job raised that is no FreshetError."""
        with self._changed:
            for queue, running in list(self._running.items()):
                if self._now_s() - running.began_s > running.job.limit_s:
                    self._give_up(queue, running)
            done, self._done = self._done, []
        for outcome in done:
            if isinstance(outcome, BaseException):
                raise outcome
        return [outcome for outcome in done if isinstance(outcome, Outcome)]

    def hurry(self) -> bool:
        """See `JobRunner`: some seconds long. What takes longer may be noticed a tenth of a second late."""
        with self._changed:
            young = any(self._now_s() - running.began_s < _SHORT_S for running in self._running.values())
            return young or bool(self._done)

    def close(self) -> None:
        """See `JobRunner`. A job that runs is left to its end."""
        with self._changed:
            self._closing = True
            self._waiting.clear()
            for running in self._running.values():
                running.stop.set()
            self._changed.notify_all()

    def _give_up(self, queue: str | int, running: "_Run") -> None:
        stuck = (
            f"{type(running.job).__name__} has not come back within {running.job.limit_s:.0f} s, and is no longer "
            "waited for"
        )
        self._given_up += 1
        if self._given_up == _MOST_GIVEN_UP:
            raise FatalError(f"{stuck}. It is the third such job here: this process must be started anew.")
        running.stop.set()
        del self._running[queue]
        self._done.append(Outcome(running.job, error=JobError("late", f"{stuck}.")))
        self._engage()

    def _engage(self) -> None:
        threading.Thread(target=self._work, name="jobs", daemon=True).start()

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            queue, running = taken
            outcome = _outcome(self._run, running.job, running.stop)
            with self._changed:
                if self._running.get(queue) is not running:
                    return  # given up: the job has its outcome, and another thread has this one's place
                del self._running[queue]
                cancelled = running.stop.is_set() and isinstance(outcome, Outcome)
                self._done.append(_ended(running.job, "cancelled", "it was told to stop.") if cancelled else outcome)
                self._changed.notify_all()

    def _take(self) -> "tuple[str | int, _Run] | None":
        """The first job whose queue is free, as soon as there is one; None once this is closed."""
        with self._changed:
            while not self._closing:
                queue = next((queue for queue in self._waiting if queue not in self._running), None)
                if queue is not None:
                    running = self._running[queue] = _Run(self._waiting.pop(queue), self._now_s())
                    return queue, running
                self._changed.wait()
        return None


class _Run:
    """A job that is running, as the owner thread sees it."""

    def __init__(self, job: Job[Any], began_s: float) -> None:
        self.job, self.began_s, self.stop = job, began_s, threading.Event()


def _ended(job: Job[Any], reason: str, why: str) -> Outcome[Any]:
    return Outcome(job, error=JobError(reason, f"{type(job).__name__}: {why}"))


def _outcome(run: Runner, job: Job[Any], stop: Stop) -> Outcome[Any] | BaseException:
    try:
        return Outcome(job, result=run(job, stop))
    except FreshetError as error:
        return Outcome(job, error=error)
    except BaseException as error:  # raised again in the owner thread
        return error


class InlineJobs:
    """Runs each job at once in the calling thread: deterministic, for tests."""

    def __init__(self, run: Runner) -> None:
        self._run = run
        self._outcomes: list[Outcome[Any]] = []

    def start(self, job: Job[Any]) -> None:
        """See `JobRunner`."""
        outcome = _outcome(self._run, job, threading.Event())
        if isinstance(outcome, BaseException):
            raise outcome
        self._outcomes.append(outcome)

    def cancel(self, queue: str) -> None:
        """See `JobRunner`. Nothing ever waits here."""

    def outcomes(self) -> list[Outcome[Any]]:
        """See `JobRunner`."""
        found, self._outcomes = self._outcomes, []
        return found

    def hurry(self) -> bool:
        """See `JobRunner`. What was started has ended; its outcome comes at the usual time."""
        return False

    def close(self) -> None:
        """See `JobRunner`."""
