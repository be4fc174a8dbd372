"""Jobs beside the loop: outcomes in order, expected failures as errors, bugs in the owner's face."""

import threading

import pytest

from freshet.contracts.errors import FreshetError
from freshet.contracts.logic import Outcome
from freshet.runtime.jobs import InlineJobs, Jobs


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
    assert drained(jobs, 2) == [Outcome(-1, error="-1 is negative"), Outcome(4, result=8)]


@pytest.mark.parametrize("make", [Jobs, InlineJobs])
def test_a_bug_ends_the_owner(make: type[Jobs]) -> None:
    """Anything but a FreshetError is raised in the owner's thread: swallowed, the logic would wait for ever."""
    jobs = make(run)
    with pytest.raises(ZeroDivisionError):
        _start_and_drain(jobs)


def _start_and_drain(jobs: Jobs) -> None:
    jobs.start("text")
    drained(jobs, 1)
