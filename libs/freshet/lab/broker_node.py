"""One broker of a folder as a process: begun, waited for, stopped in order, killed."""

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Final

from freshet.lab.choose import Engine
from freshet.lab.kafka_jars import KAFKA
from freshet.lab.processes import end, must_end, spawn_detached, wait_ended
from freshet.lab.server_files import READY_LINE, Launch, StateFolder
from freshet.operate.broker_record import Node, start_mark
from freshet.operate.operate_error import LocalError

_READY_WITHIN_S: Final = 180.0  # 2 s on an idle laptop; three that start at once on a busy one took 90
_STOPPED_WITHIN_S: Final = 30.0
_POLL_S: Final = 0.05
_TAIL_LINES: Final = 15


def begin(launch: Launch, engine: Engine) -> Node:
    """Start a broker; `wait_ready` waits for it. Raises LocalError if its data are not for this Kafka."""
    state = launch.state
    _refuse_data_of_another_release(state)
    launch.write_settings()
    if not state.formatted:  # before it is done: a note without data says nothing, data without a note are refused
        state.note_release(KAFKA)
    if state.log.exists():
        state.log.replace(state.log.with_name("broker.previous.log"))  # keeps a crash's last words
    pid = spawn_detached(engine.command(launch), log=state.log)
    mark = start_mark(pid)
    if mark is None:
        raise LocalError(_failure(state, "ended at once"))
    return Node(client_port=launch.client_port, controller_port=launch.controller_port, pid=pid, started=mark)


def wait_ready(state: StateFolder, node: Node) -> None:
    """Wait until the broker has said that it is started and its port answers."""
    deadline = time.monotonic() + _READY_WITHIN_S
    while not (READY_LINE in _log_text(state) and node.answers):
        if not node.alive:
            raise LocalError(_failure(state, "ended while starting"))
        if time.monotonic() > deadline:
            raise LocalError(_failure(state, f"is not ready after {_READY_WITHIN_S:.0f} s and still runs"))
        time.sleep(_POLL_S)


def signal_to(node: Node, how: signal.Signals) -> None:
    """Send a signal to the process of this broker, if it runs."""
    if node.pid is not None and node.started is not None:
        end(node.pid, node.started, how)


def wait_stopped(state: StateFolder, node: Node, archives: Path) -> None:
    """Wait until a broker that was sent SIGTERM has ended; one that does not is killed."""
    if node.pid is None or node.started is None:
        return
    was_alive = node.alive
    if not wait_ended(node.pid, node.started, _STOPPED_WITHIN_S):
        signal_to(node, signal.SIGKILL)
        wait_killed(node)
    if was_alive:
        _keep_archive(state, archives)


def wait_killed(node: Node) -> None:
    """Wait until a broker that was sent SIGKILL has ended. May raise LocalError."""
    if node.pid is not None and node.started is not None:
        must_end(node.pid, node.started)


def _refuse_data_of_another_release(state: StateFolder) -> None:
    by = state.formatted_by
    if by not in (None, KAFKA):
        formatter = f"Kafka {by}" if by else "another Kafka (4.3.1 or older)"
        raise LocalError(
            f"the data in {state.data} were formatted by {formatter}, and Kafka {KAFKA}, which starts here, may not be "
            "able to read them: `freshet local wipe --yes` deletes them, and `freshet local up` then begins anew."
        )


def _keep_archive(state: StateFolder, folder: Path) -> None:
    """Move the class-data archive that an orderly exit has written to the jars, where the next start finds it.

    The JVM does not write it there itself: another broker could be reading the half-written file. One that does
    not fit, or was cut short, costs a JVM that meets it a warning and the time it would have saved.
    """
    for archive in state.own.glob("classes-*.jsa"):
        if folder.is_dir():  # the cache may have been deleted while the broker ran
            scratch = folder / f"{archive.name}.{os.getpid()}"
            shutil.move(archive, scratch)  # perhaps onto another disk, so not yet under its name
            scratch.replace(folder / archive.name)


def _failure(state: StateFolder, what: str) -> str:
    last = "\n".join(_log_text(state).splitlines()[-_TAIL_LINES:]) or "(it said nothing)"
    return (
        f"the broker of {state.own} {what}. If the words below do not tell why, read {state.log}; "
        f"`freshet local wipe` starts afresh and deletes the broker's data. Its last words:\n{last}"
    )


def _log_text(state: StateFolder) -> str:
    return state.log.read_text(errors="replace") if state.log.exists() else ""
