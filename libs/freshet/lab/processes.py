"""Processes that outlive us: who they are, whether they still live, and how to end exactly them."""

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from freshet.operate.broker_record import is_alive
from freshet.operate.operate_error import LocalError

_POLL_S: Final = 0.02
_KILLED_WITHIN_S: Final = 10.0


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock file; blocks while another process holds it. The kernel frees it if its holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def spawn_detached(command: Sequence[str], *, log: Path) -> int:
    """Start a process that survives us, its output appended to `log`; returns its pid.

    It has its own session, so Ctrl-C in our terminal does not reach it, and it is not our child, so that nobody
    has to wait for it: a short-lived shell starts it and leaves it to init.
    """
    script = '"$@" >>"$0" 2>&1 </dev/null & echo $!'
    shell = subprocess.run(
        ["/bin/sh", "-c", script, str(log), *command],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        start_new_session=True,
    )
    return int(shell.stdout)


def end(pid: int, mark: str, how: signal.Signals) -> None:
    """Send one signal to exactly this process; does nothing if it has ended."""
    if is_alive(pid, mark):
        with contextlib.suppress(ProcessLookupError):  # it ended between the question and the signal
            os.kill(pid, how)


def wait_ended(pid: int, mark: str, timeout_s: float) -> bool:
    """Wait until this process has ended; False if it still runs after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while is_alive(pid, mark):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def must_end(pid: int, mark: str) -> None:
    """Wait for a process that was sent SIGKILL. Raises LocalError if the kernel does not let it go."""
    if not wait_ended(pid, mark, _KILLED_WITHIN_S):
        raise LocalError(
            f"process {pid} was sent SIGKILL and still exists after {_KILLED_WITHIN_S:.0f} s; it most likely hangs "
            "in a disk or network mount. Look at it with `ps` and try again."
        )
