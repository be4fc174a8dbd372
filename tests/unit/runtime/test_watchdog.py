"""The watchdog: one thread a process, patient with a process that stood still, and a second line in C."""

import subprocess
import sys
import threading

from freshet.runtime.watchdog import EXIT_STUCK, Patrol, Watchdog

HOLDS_THE_LOCK = """
import ctypes
from freshet.runtime.watchdog import Watchdog, guard_process
guard_process(1.0)
with Watchdog().start().limit(0.1, "sleeping"):
    ctypes.PyDLL(None).sleep(50)
"""


def test_a_process_that_stood_still_is_no_hanging_call() -> None:
    """After SIGSTOP the first look comes late: the time of the stop is not counted, neither as late nor as stuck."""
    now_s, exits, late = [0.0], list[int](), list[float]()
    watchdog, patrol = Watchdog(now_s=lambda: now_s[0], leave=exits.append), Patrol()
    patrol._watchdogs.append(watchdog)

    def look(after_s: float) -> None:
        now_s[0] += after_s
        patrol.look(now_s[0])

    look(0.5)
    with watchdog.limit(4.0, "scoring", late=lambda: late.append(now_s[0])):
        look(0.5)
        look(600.0)
        look(1.0)
        assert (exits, late) == ([], [])
        for _ in range(4):
            look(0.5)
        assert late != []
        for _ in range(4):
            look(0.5)
        assert exits[:1] == [EXIT_STUCK]


def test_all_watchdogs_of_a_process_share_one_thread_which_ends_with_the_last() -> None:
    """A process that makes one producer after the other does not collect threads."""
    patrol = Patrol()
    before = set(threading.enumerate())
    watchdogs = [Watchdog() for _ in range(3)]
    for watchdog in watchdogs:
        patrol.add(watchdog)
    (thread,) = set(threading.enumerate()) - before
    for watchdog in watchdogs:
        patrol.remove(watchdog)
    thread.join(30)
    assert not thread.is_alive()
    patrol.add(watchdogs[0])
    assert patrol.look(0.0), "it looks again for whoever comes later"
    patrol.remove(watchdogs[0])


def test_a_call_that_holds_the_interpreters_lock_ends_the_process() -> None:
    """No Python thread can run then; the timer in C does, and shows where every thread stands."""
    command = [sys.executable, "-c", HOLDS_THE_LOCK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode == 1
    assert "Timeout" in done.stderr
    assert 'File "<string>", line 6' in done.stderr
