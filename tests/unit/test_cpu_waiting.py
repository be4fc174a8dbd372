"""How long a process waited for a CPU, as the benches tell it."""

import os
import sys

import pytest

from bench.cpu_waiting import Scheduled, added, scheduled


def test_threads_add_up_and_a_share_is_of_the_time_in_which_it_could_have_run() -> None:
    """Two threads; what they did before the bench does not count."""
    now = added(["2000000000 500000000 12\n", "1000000000 1500000000 9\n"])
    assert now == Scheduled(3.0, 2.0)
    assert now.since(Scheduled(1.0, 1.5)) == Scheduled(2.0, 0.5)
    assert now.since(Scheduled(1.0, 1.5)).share_waited == 0.2
    assert Scheduled(0.0, 0.0).share_waited == 0.0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells it")
def test_the_kernel_tells_it_of_this_process() -> None:
    """And nothing of one that is gone."""
    assert scheduled(os.getpid()).ran_s > 0.0
    assert scheduled(1 << 30) == Scheduled(0.0, 0.0)
