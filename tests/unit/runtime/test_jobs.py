"""Jobs beside the loop: outcomes in order, expected failures as errors, bugs in the owner's face."""

import threading

import pytest

from freshet.contracts.errors import FreshetError
from freshet.contracts.logic import Outcome
from freshet.runtime.bus.protocol import FatalError
from freshet.runtime.jobs import InlineJobs, Jobs, JobStuckError


def run(job: object) -> object:
    """Doubles numbers; refuses negative ones in a sentence; trips over text."""
    if isinstance(job, int) and job < 0:
        raise FreshetError(f"{job} is negative")
    return job * 2 if isinstance(job, int) else 1 / 0


def drained(jobs: Jobs, count: int) -> list[Outcome]:
    """So many outcomes, as they come."""
    found: list[Outcome] = []
    while len(found) < count:
        found += jobs.outcomes()
    return found


def test_outcomes_come_in_the_order_of_the_jobs() -> None:
    """A logic may count on it: load, then retire."""
    jobs = Jobs(run)
    for job in range(50):
        jobs.start(job)
    assert drained(jobs, 50) == [Outcome(job, result=job * 2) for job in range(50)]
    assert jobs.outcomes() == []


def test_a_job_runs_outside_the_callers_thread() -> None:
    """Starting never blocks, however long the job takes."""
    gate, ran_in = threading.Event(), []

    def slow(job: object) -> object:
        gate.wait(30)
        ran_in.append(threading.current_thread())
        return job

    jobs = Jobs(slow)
    jobs.start("a")
    assert jobs.outcomes() == []
    gate.set()
    assert drained(jobs, 1) == [Outcome("a", result="a")]
    assert ran_in != [threading.current_thread()]


@pytest.mark.parametrize("make", [Jobs, InlineJobs])
def test_an_expected_failure_is_an_outcome_and_the_next_job_runs(make: type[Jobs]) -> None:
    """The logic decides what a model that does not load means."""
    jobs = make(run)
    jobs.start(-1)
    jobs.start(4)
    failed, succeeded = drained(jobs, 2)
    assert (failed.job, str(failed.error)) == (-1, "-1 is negative")
    assert succeeded == Outcome(4, result=8)


@pytest.mark.parametrize("make", [Jobs, InlineJobs])
def test_a_bug_ends_the_owner(make: type[Jobs]) -> None:
    """Anything but a FreshetError is raised in the owner's thread: swallowed, the logic would wait for ever."""
    jobs = make(run)
    with pytest.raises(ZeroDivisionError):
        _start_and_drain(jobs)


def test_a_job_that_never_returns_blocks_no_other() -> None:
    """It is given up at its limit with an error that names it; the next one runs, and a late result is dropped."""
    running, gate, now_s = threading.Event(), threading.Event(), [0.0]
    threads = []

    def run_or_hang(job: object) -> object:
        if job == "endless":
            threads.append(threading.current_thread())
            running.set()
            gate.wait(30)
        return job

    jobs = Jobs(run_or_hang, limit_s=60, now_s=lambda: now_s[0])
    jobs.start("endless")
    jobs.start("next")
    assert running.wait(30)
    now_s[0] = 60.0
    assert jobs.outcomes() == []
    now_s[0] = 60.5
    stuck, followed = drained(jobs, 2)
    assert stuck.job == "endless"
    assert isinstance(stuck.error, JobStuckError)
    assert "str has not come back" in str(stuck.error)
    assert followed == Outcome("next", result="next")
    gate.set()
    threads[0].join(30)
    assert jobs.outcomes() == []


def test_too_many_jobs_that_never_return_end_the_process() -> None:
    """Each keeps what it has taken of the machine: the third one is fatal."""
    running, gate, now_s = threading.Semaphore(0), threading.Event(), [0.0]

    def hang(job: object) -> object:
        running.release()
        gate.wait(30)
        return job

    jobs = Jobs(hang, limit_s=60, now_s=lambda: now_s[0])
    for job in range(3):
        jobs.start(job)
    for _ in range(2):
        assert running.acquire(timeout=30)
        now_s[0] += 61
        assert len(jobs.outcomes()) == 1
    assert running.acquire(timeout=30)
    now_s[0] += 61
    with pytest.raises(FatalError, match="third"):
        jobs.outcomes()
    gate.set()


def _start_and_drain(jobs: Jobs) -> None:
    jobs.start("text")
    drained(jobs, 1)


def test_a_closed_runner_leaves_no_thread_behind() -> None:
    """A pipeline that fails is built anew in its process, each time with a runner of its own."""
    before = set(threading.enumerate())
    jobs = Jobs(run)
    jobs.start(1)
    drained(jobs, 1)
    (worker,) = set(threading.enumerate()) - before
    jobs.close()
    worker.join(30)
    assert not worker.is_alive()
