"""Ending exactly the process that was started, and no other."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from freshet.lab.ports import free_port
from freshet.lab.processes import end, must_end, spawn_detached
from freshet.operate.broker_record import Endpoint, Node, is_alive, load, save, start_mark
from freshet.operate.operate_error import LocalError


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """A detached process and its start mark."""
    pid = spawn_detached(["sleep", "60"], log=tmp_path / "log")
    mark = start_mark(pid)
    assert mark is not None
    yield pid, mark
    end(pid, mark, signal.SIGKILL)
    must_end(pid, mark)


def test_a_detached_process_is_out_of_reach_of_our_terminal(sleeper: tuple[int, str]) -> None:
    """It lives in a session of its own, and it is not our child, so it leaves no zombie behind."""
    pid, _ = sleeper

    assert os.getsid(pid) != os.getsid(0)
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def test_a_reused_pid_is_another_process(sleeper: tuple[int, str]) -> None:
    """A record of a dead broker whose pid now belongs to somebody else must never get that somebody killed."""
    pid, mark = sleeper
    stale = Node(client_port=1, controller_port=2, pid=pid, started="long ago")

    end(pid, "long ago", signal.SIGKILL)

    assert is_alive(pid, mark)
    assert not stale.alive
    assert stale.model_copy(update={"started": mark}).alive


def test_output_goes_to_the_log(tmp_path: Path) -> None:
    """Both streams, appended, and arguments arrive as they are."""
    log = tmp_path / "a log"
    log.write_text("before\n")
    pid = spawn_detached(["/bin/sh", "-c", 'echo "$1"; echo err >&2', "sh", "two  words"], log=log)
    if mark := start_mark(pid):
        must_end(pid, mark)

    assert log.read_text() == "before\ntwo  words\nerr\n"


def test_a_record_survives_a_round_trip_and_a_broken_one_is_explained(tmp_path: Path) -> None:
    """The file is all that the next command knows; one that is damaged must not look like no broker."""
    path = tmp_path / "endpoint.json"
    assert load(path) is None

    node = Node(client_port=1, controller_port=2, pid=2, started="then")
    endpoint = Endpoint(kind="java", bootstrap_servers="127.0.0.1:1", nodes=(node, node.stopped()))
    save(path, endpoint)
    assert load(path) == endpoint

    path.write_text('{"kind": "java"')
    with pytest.raises(LocalError, match="not a record of a broker"):
        load(path)


def test_ports_are_not_those_of_outgoing_connections() -> None:
    """Else a client that retries while the broker is down could occupy the broker's port and keep it away."""
    assert all(20_000 <= free_port() < 30_000 for _ in range(50))
