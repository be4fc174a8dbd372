"""Jobs beside the loop: queues in order, expected failures as errors, bugs in the owner's face."""

import threading
from dataclasses import dataclass
from typing import Any

import pytest

from freshet.contracts.errors import FreshetError
from freshet.contracts.logic import Job, JobError, Outcome
from freshet.runtime.bus.protocol import FatalError
from freshet.runtime.jobs import InlineJobs, Jobs, Stop
from support.faults import until


class RefusedNumberError(FreshetError):
    """A failure with a part that a program reads."""

    def __init__(self, number: int) -> None:
        super().__init__(f"{number} is negative")
        self.number = number


@dataclass(frozen=True, slots=True)
class Double(Job[int]):
    """Doubles a number; refuses negative ones; trips over zero."""

    number: int
    queue: str = ""


def run(job: Job[Any], stop: Stop) -> object:
    """What a service's runner does."""
    assert isinstance(job, Double)
    if job.number < 0:
        raise RefusedNumberError(job.number)
    return job.number * 2 if job.number else 1 // job.number


class Gated:
    """A runner whose jobs begin at once and end when they are let through."""

    def __init__(self) -> None:
        self.began, self.gate = threading.Semaphore(0), threading.Event()
        self.stops: list[Stop] = []
        self.threads: list[threading.Thread] = []
        self.now_s = 0.0

    def __call__(self, job: Job[Any], stop: Stop) -> object:
        """Wait for the gate, and double then."""
        self.stops.append(stop)
        self.threads.append(threading.current_thread())
        self.began.release()
        self.gate.wait(30)
        return run(job, stop)

    def await_begin(self) -> None:
        """One more job has begun."""
        assert self.began.acquire(timeout=30)


def drained(jobs: Jobs | InlineJobs, count: int) -> list[Outcome[Any]]:
    """So many outcomes, as they come."""
    found: list[Outcome[Any]] = []
    while len(found) < count:
        found += jobs.outcomes()
    return found


def reasons(outcomes: list[Outcome[Any]]) -> list[tuple[Job[Any], str]]:
    """Jobs that came to no end of their own, and why."""
    return [(outcome.job, outcome.error.reason) for outcome in outcomes if isinstance(outcome.error, JobError)]


def test_outcomes_come_in_the_order_of_the_jobs() -> None:
    """A logic may count on it: load, then retire."""
    jobs = Jobs(run)
    for number in range(1, 50):
        jobs.start(Double(number))
    assert drained(jobs, 49) == [Outcome(Double(number), result=number * 2) for number in range(1, 50)]
    assert jobs.outcomes() == []


def test_a_job_runs_outside_the_callers_thread() -> None:
    """Starting never blocks, however long the job takes."""
    gated = Gated()
    jobs = Jobs(gated)
    jobs.start(Double(1))
    assert jobs.outcomes() == []
    gated.gate.set()
    assert drained(jobs, 1) == [Outcome(Double(1), result=2)]
    assert gated.threads != [threading.current_thread()]


def test_a_young_job_may_end_any_moment_and_an_old_one_need_not() -> None:
    """So that loops look often for a while, and not for half an hour of a training; an end is always worth a look."""
    gated = Gated()
    jobs = Jobs(gated, now_s=lambda: gated.now_s)
    assert not jobs.hurry()
    jobs.start(Double(1))
    gated.await_begin()
    assert jobs.hurry()
    gated.now_s = 5.0
    assert not jobs.hurry()
    gated.gate.set()
    until("the job to end", jobs.hurry)
    assert drained(jobs, 1) == [Outcome(Double(1), result=2)]
    assert not jobs.hurry()


@pytest.mark.parametrize("make", [Jobs, InlineJobs])
def test_an_expected_failure_arrives_as_itself_and_the_next_job_runs(make: type[Jobs]) -> None:
    """Its parts are fields, not words of a sentence: the logic decides what they mean."""
    jobs = make(run)
    jobs.start(Double(-1))
    jobs.start(Double(4))
    failed, succeeded = drained(jobs, 2)
    assert failed.job == Double(-1)
    assert isinstance(failed.error, RefusedNumberError)
    assert failed.error.number == -1
    assert succeeded == Outcome(Double(4), result=8)


@pytest.mark.parametrize("make", [Jobs, InlineJobs])
def test_a_bug_ends_the_owner(make: type[Jobs]) -> None:
    """Anything but a FreshetError is raised in the owner's thread: swallowed, the logic would wait for ever."""
    jobs = make(run)
    with pytest.raises(ZeroDivisionError):
        _start_and_drain(jobs)


def test_a_newer_job_of_a_queue_replaces_the_one_that_waits() -> None:
    """The newest wins, in the old one's place; what runs goes on, and other queues lose nothing."""
    gated = Gated()
    jobs = Jobs(gated)
    jobs.start(Double(1, "a"))
    gated.await_begin()
    for job in (Double(2, "a"), Double(3, "b"), Double(4, "a")):
        jobs.start(job)
    assert reasons(jobs.outcomes()) == [(Double(2, "a"), "replaced")]
    gated.gate.set()
    assert drained(jobs, 3) == [
        Outcome(Double(1, "a"), result=2),
        Outcome(Double(4, "a"), result=8),
        Outcome(Double(3, "b"), result=6),
    ]


def test_queues_run_beside_each_other_and_jobs_of_a_queue_do_not() -> None:
    """One pipeline's long job holds up none of another pipeline's, if there is a thread for both."""
    gated = Gated()
    jobs = Jobs(gated, at_once=2)
    for job in (Double(1, "a"), Double(2, "a"), Double(3, "b")):
        jobs.start(job)
    gated.await_begin()
    gated.await_begin()
    assert not gated.began.acquire(blocking=False)
    gated.gate.set()
    drained(jobs, 3)


def test_a_cancelled_queue_ends_with_errors_and_others_go_on() -> None:
    """What waits never begins; what runs is told, and whatever it returns then is thrown away."""
    gated = Gated()
    jobs = Jobs(gated)
    jobs.start(Double(1, "a"))
    gated.await_begin()
    jobs.start(Double(2, "a"))
    jobs.start(Double(3, "b"))
    jobs.cancel("a")
    jobs.cancel("nobody's")
    assert reasons(jobs.outcomes()) == [(Double(2, "a"), "cancelled")]
    assert gated.stops[0].is_set()
    gated.gate.set()
    ended, other = drained(jobs, 2)
    assert reasons([ended]) == [(Double(1, "a"), "cancelled")]
    assert other == Outcome(Double(3, "b"), result=6)


def test_a_job_that_never_returns_blocks_no_other() -> None:
    """It is given up at its limit with an error that names it; the next one runs, and a late result is dropped."""
    gated = Gated()
    jobs = Jobs(gated, now_s=lambda: gated.now_s)
    jobs.start(Double(1, "a"))
    gated.await_begin()
    jobs.start(Double(2, "a"))
    gated.now_s = Double.limit_s
    assert jobs.outcomes() == []
    gated.now_s += 0.5
    (late,) = drained(jobs, 1)
    assert reasons([late]) == [(Double(1, "a"), "late")]
    assert "Double has not come back within 300 s" in str(late.error)
    assert gated.stops[0].is_set()
    gated.await_begin()
    gated.gate.set()
    assert drained(jobs, 1) == [Outcome(Double(2, "a"), result=4)]
    gated.threads[0].join(30)
    assert jobs.outcomes() == []


def test_too_many_jobs_that_never_return_end_the_process() -> None:
    """Each keeps what it has taken of the machine: the third one is fatal."""
    gated = Gated()
    jobs = Jobs(gated, now_s=lambda: gated.now_s)
    for number in range(1, 4):
        jobs.start(Double(number))
    for _ in range(2):
        gated.await_begin()
        gated.now_s += 301
        assert len(jobs.outcomes()) == 1
    gated.await_begin()
    gated.now_s += 301
    with pytest.raises(FatalError, match="third"):
        jobs.outcomes()
    gated.gate.set()


def _start_and_drain(jobs: Jobs) -> None:
    jobs.start(Double(0))
    drained(jobs, 1)


def test_a_closed_runner_leaves_no_thread_behind() -> None:
    """A pipeline that fails is built anew in its process, each time with a runner of its own."""
    before = set(threading.enumerate())
    jobs = Jobs(run)
    jobs.start(Double(1))
    drained(jobs, 1)
    (worker,) = set(threading.enumerate()) - before
    jobs.close()
    worker.join(30)
    assert not worker.is_alive()


def test_a_closed_runner_tells_what_runs_to_stop_and_begins_nothing() -> None:
    """The process ends: a training of twenty minutes must know, and what waits must not begin."""
    gated = Gated()
    jobs = Jobs(gated)
    jobs.start(Double(1))
    gated.await_begin()
    jobs.start(Double(2))
    jobs.close()
    assert gated.stops[0].is_set()
    gated.gate.set()
    gated.threads[0].join(30)
    assert len(gated.stops) == 1
