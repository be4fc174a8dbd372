"""Restarting services in place."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from freshet.lab.supervisor import Supervisor, backoff_s
from freshet.operate.broker_record import start_mark
from freshet.operate.operate_error import LocalError

SLEEP = ["sleep", "60"]


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until it holds; the deadline only ends a failed test."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.01)


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with Supervisor(tmp_path / "logs") as supervisor:
        yield supervisor


def test_a_killed_process_comes_back_under_its_name(supervisor: Supervisor, tmp_path: Path) -> None:
    """SIGKILL costs nothing but a restart, which is counted, and the log says what happened."""
    supervisor.start("worker", SLEEP, {})
    first = supervisor.pid("worker")

    assert supervisor.kill("worker") == first
    eventually(lambda: supervisor.pid("worker") not in (None, first))

    assert supervisor.restarts("worker") == 1
    assert "worker was killed by signal 9" in (tmp_path / "logs" / "worker.log").read_text()


def test_an_error_is_restarted_and_a_finished_process_is_not(supervisor: Supervisor, tmp_path: Path) -> None:
    """Exit 1 comes back until it exits with 0; that is the end, and the name is free again."""
    tries = tmp_path / "tries"
    supervisor.start("worker", shell('echo x >> "$TRIES"; [ $(wc -l < "$TRIES") -eq 3 ]'), {"TRIES": str(tries)})

    eventually(lambda: tries.exists() and len(tries.read_text().split()) == 3)
    eventually(lambda: supervisor.pid("worker") is None)
    assert supervisor.restarts("worker") == 2
    supervisor.stop("worker")
    supervisor.start("worker", SLEEP, {})
    assert supervisor.pid("worker") is not None


def test_stop_lets_a_process_finish_its_work(supervisor: Supervisor, tmp_path: Path) -> None:
    """SIGTERM first: a service commits what it has. It does not come back, whatever its exit code."""
    script = 'trap "echo drained; exit 3" TERM; echo ready; while :; do sleep 0.01; done'
    log = tmp_path / "logs" / "worker.log"
    supervisor.start("worker", shell(script), {})
    eventually(lambda: "ready" in log.read_text())

    supervisor.stop("worker")

    assert log.read_text() == "ready\ndrained\n"
    assert supervisor.pid("worker") is None
    assert supervisor.restarts("worker") == 0


def test_stop_ends_a_process_that_does_not_listen(supervisor: Supervisor, tmp_path: Path) -> None:
    """A hung service cannot hold up the end: after the timeout it is killed."""
    supervisor.start("worker", shell('trap "" TERM; echo ready; while :; do sleep 0.01; done'), {})
    eventually(lambda: "ready" in (tmp_path / "logs" / "worker.log").read_text())

    supervisor.stop("worker", timeout_s=0.1)

    assert supervisor.pid("worker") is None


def test_a_wrong_name_or_program_is_said(supervisor: Supervisor) -> None:
    """Mistakes of the caller are errors at the call, not restarts for ever."""
    supervisor.start("worker", SLEEP, {})

    with pytest.raises(LocalError, match="already running"):
        supervisor.start("worker", SLEEP, {})
    with pytest.raises(LocalError, match="there are: worker"):
        supervisor.pid("wroker")
    with pytest.raises(LocalError, match="no program 'no-such-program'"):
        supervisor.start("other", ["no-such-program"], {})


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_processes_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    """After SIGKILL of the supervisor no service is left to hold partitions or ports."""
    script = (
        "import sys, time; from pathlib import Path; from freshet.lab.supervisor import Supervisor\n"
        "with Supervisor(Path(sys.argv[1])) as s:\n"
        "    s.start('worker', ['sleep', '60'], {}); print(s.pid('worker'), flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        eventually(lambda: b"sleep" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"))
        os.kill(parent.pid, signal.SIGKILL)

    eventually(lambda: start_mark(child) is None)


def test_only_repeated_deaths_are_slowed_down() -> None:
    """One kill costs no wait; a process that cannot start does not burn a core."""
    assert [backoff_s(n) for n in (0, 1, 2, 3, 4)] == [0, 0, 0.05, 0.1, 0.2]
    assert backoff_s(1_000_000) == 5


def test_an_exit_code_that_no_restart_mends_is_final(tmp_path: Path) -> None:
    """It stays down, and its code is told; one that was not named is still restarted."""
    with Supervisor(tmp_path / "logs", final={2}) as supervisor:
        supervisor.start("wrong", shell("exit 2"), {})
        supervisor.start("weak", shell("exit 1"), {})
        eventually(lambda: supervisor.ended_with("wrong") == 2)
        eventually(lambda: supervisor.restarts("weak") >= 1)
        assert supervisor.restarts("wrong") == 0
        assert supervisor.ended_with("weak") is None
