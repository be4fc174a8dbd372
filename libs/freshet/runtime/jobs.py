"""Runs jobs outside the loop, one at a time, and hands their outcomes back."""

import queue
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from freshet.contracts.errors import FreshetError
from freshet.contracts.logic import Outcome
from freshet.runtime.bus.protocol import FatalError

Runner = Callable[[object], object]

LIMIT_S: Final = 300.0
"""How long a job may take: the longest that is bounded on paper, an admission, takes two minutes."""

_END: Final = object()
_MOST_GIVEN_UP: Final = 3  # each holds its memory, and perhaps a processor


class JobRunner(Protocol):
    """Runs what a logic starts, and hands the outcomes back."""

    def start(self, job: object) -> None:
        """Take the job on."""

    def outcomes(self) -> list[Outcome]:
        """Outcomes since the last call. Never blocks."""

    def close(self) -> None:
        """Take no more jobs, and free what runs them. Never blocks: a job that runs is left to its end."""


class JobStuckError(FreshetError):
    """A job did not come back in time, and is no longer waited for."""


class Jobs:
    """One background thread that runs what a logic starts, in order.

    An expected failure (FreshetError) becomes the outcome's error; anything else is a bug and is raised in the owner
    thread.

    A job that takes longer than the limit is given up: its outcome is a JobStuckError, its thread is left alone (no
    thread can be ended from outside), and another one takes the next job. The process is kept because it serves well
    all that does not need this job; ending it would give the same job to its successor. Only the third such job ends
    it, with FatalError: by then there is something wrong with the process.
    """

    def __init__(self, run: Runner, *, limit_s: float = LIMIT_S, now_s: Callable[[], float] = time.monotonic) -> None:
        self._run, self._limit_s, self._now_s = run, limit_s, now_s
        self._todo: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._done: list[Outcome | BaseException] = []
        self._lock = threading.Lock()
        self._given_up = 0
        self._worker = self._engaged()

    def start(self, job: object) -> None:
        """See `JobRunner`. Never blocks."""
        self._todo.put(job)

    def outcomes(self) -> list[Outcome]:
        """See `JobRunner`. Raises what a job raised that is no FreshetError."""
        with self._lock:
            self._give_up()
            done, self._done = self._done, []
        for outcome in done:
            if isinstance(outcome, BaseException):
                raise outcome
        return [outcome for outcome in done if isinstance(outcome, Outcome)]

    def close(self) -> None:
        """See `JobRunner`."""
        self._todo.put(_END)

    def _give_up(self) -> None:
        worker = self._worker
        if not worker.busy or self._now_s() - worker.began_s <= self._limit_s:
            return
        stuck = (
            f"{type(worker.job).__name__} has not come back within {self._limit_s:.0f} s, and is no longer waited for"
        )
        self._given_up += 1
        if self._given_up == _MOST_GIVEN_UP:
            raise FatalError(f"{stuck}. It is the third such job here: this process must be started anew.")
        self._done.append(Outcome(worker.job, error=JobStuckError(f"stuck: {stuck}.")))
        self._worker = self._engaged()

    def _engaged(self) -> "_Worker":
        worker = _Worker()
        threading.Thread(target=self._work, args=(worker,), name="jobs", daemon=True).start()
        return worker

    def _work(self, worker: "_Worker") -> None:
        while True:
            job = self._todo.get()
            if job is _END:
                return
            with self._lock:
                worker.job, worker.began_s, worker.busy = job, self._now_s(), True
            outcome = _outcome(self._run, job)
            with self._lock:
                if worker is not self._worker:
                    return  # given up: the job has its outcome, and another thread the next one
                worker.job, worker.busy = None, False
                self._done.append(outcome)


class _Worker:
    """What a thread is doing, for the owner to look at."""

    def __init__(self) -> None:
        self.job: object = None
        self.began_s = 0.0
        self.busy = False


def _outcome(run: Runner, job: object) -> Outcome | BaseException:
    try:
        return Outcome(job, result=run(job))
    except FreshetError as error:
        return Outcome(job, error=error)
    except BaseException as error:  # raised again in the owner thread
        return error


class InlineJobs:
    """Runs each job at once in the calling thread: deterministic, for tests."""

    def __init__(self, run: Runner) -> None:
        self._run = run
        self._outcomes: list[Outcome] = []

    def start(self, job: object) -> None:
        """See `JobRunner`."""
        outcome = _outcome(self._run, job)
        if isinstance(outcome, BaseException):
            raise outcome
        self._outcomes.append(outcome)

    def outcomes(self) -> list[Outcome]:
        """See `JobRunner`."""
        found, self._outcomes = self._outcomes, []
        return found

    def close(self) -> None:
        """See `JobRunner`."""
