"""`freshet up` as a person runs it: one command, one log, and nothing left when it ends."""

import fcntl
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from freshet.contracts.shipped import pipelines_dir
from freshet.operate.broker_record import start_mark
from support.shell import Shell, shell

__all__ = ["shell"]

pytestmark = [pytest.mark.kafka, pytest.mark.e2e, pytest.mark.timeout(600)]

_PATIENCE_S = 90.0


def until(holds: Callable[[], object], log: Path) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def started(log: Path, name: str) -> list[int]:
    """The process ids under which a service has said that it starts."""
    return [int(pid) for pid in re.findall(rf"^{name} *\|.* started .*pid=(\d+)", log.read_text(), re.MULTILINE)]


def hold(lock: Path) -> int:
    """Take a lock file as a process of its own would; closing the descriptor frees it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = os.open(lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    return held


def test_one_command_runs_a_pipeline_until_it_is_told_to_stop(shell: Shell) -> None:
    """Broker, topics and services; what is killed comes back; SIGTERM ends all, those that read first."""
    shutil.copytree(pipelines_dir() / "loans", shell.folder / "mine" / "loans")
    state = shell.folder / ".local/state"
    held = hold(state / "freshet.registry.owner.lock")
    shell.begin("up", "mine", "--workers", "2")
    log = shell.folder / "mine.log"
    until(
        lambda: "ready: publish events to topic loans.events; predictions on loans.predictions" in log.read_text(), log
    )
    assert "freshet model publish bundle" in log.read_text()
    assert "another process of this folder runs the registry" in log.read_text()
    assert not started(log, "registry")
    os.close(held)
    until(lambda: started(log, "registry"), log)

    (first,) = started(log, "inference-1")
    os.kill(first, signal.SIGKILL)
    until(lambda: len(started(log, "inference-1")) == 2, log)
    assert "inference-1 was killed by signal 9" in log.read_text()

    names = ("registry", "retraining", "ingestion-0", "inference-0", "inference-1", "drift-0")
    pids = [started(log, name)[-1] for name in names]
    assert shell.end() == {"mine": 0}
    assert not [pid for pid in pids if start_mark(pid)]
    stopped = re.findall(r"^(\S+) +\| .* stopped", log.read_text(), re.MULTILINE)
    assert set(stopped) == set(names)
    quiet = [line for line in log.read_text().splitlines() if line.startswith("drift-0 ")]
    assert len(quiet) == 2, "drift has nothing to say but that it starts and stops, where no label comes"


def test_settings_that_cannot_work_end_everything(shell: Shell) -> None:
    """A service that exits with 2 would do so for ever: its sentence is the command's, and so is its code."""
    shutil.copytree(pipelines_dir() / "loans", shell.folder / "loans")
    shell.begin("up", "loans")
    log = shell.folder / "loans.log"
    until(lambda: "starting Kafka" in log.read_text(), log)  # `up` itself has found nothing to refuse
    held = hold(shell.folder / ".local/state/freshet.ingestion.loans.0.lock")
    assert shell.ended() == {"loans": 2}
    os.close(held)
    assert "error: ingestion-0: slot 0 (freshet.ingestion.loans.0) is taken by process" in log.read_text()
    assert not [pid for name in ("registry", "inference-0") for pid in started(log, name) if start_mark(pid)]
