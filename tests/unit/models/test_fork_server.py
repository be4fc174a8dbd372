"""Children forked of a process that has imported everything: the same verdicts, and it may die at any time."""

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from freshet.models import fork_server
from freshet.models.admission import CHILD, admit
from freshet.models.fork_server import ForkServer
from freshet.models.sandbox import SandboxError
from freshet.models.verdict import AdmissionVerdict
from support.faults import until
from support.models import CONTRACT, linear, manifest_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere children are started one by one")


@pytest.fixture
def server() -> Iterator[ForkServer]:
    """One that judges models."""
    with closing(ForkServer(CHILD)) as made:
        yield made


def judged(server: ForkServer | None, stopped: Callable[[], bool] = lambda: False) -> AdmissionVerdict:
    """The verdict on a good model."""
    return admit(linear(), manifest_of(linear()), CONTRACT, stopped, server=server)


def children(pid: int) -> list[int]:
    """Of this process; none if it is gone."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def servers() -> set[int]:
    """Ours."""
    return {
        pid for pid in children(os.getpid()) if b"freshet.models.forking" in Path(f"/proc/{pid}/cmdline").read_bytes()
    }


def open_files() -> int:
    """How many this process has."""
    return len([*Path("/proc/self/fd").iterdir()])


def test_a_forked_child_is_guarded_as_a_started_one_is(server: ForkServer) -> None:
    """The same verdict with the same words on what it could do all the same; one process serves several."""
    before, alone = servers(), judged(None)
    forked = [judged(server) for _ in range(3)]
    assert all(each.admitted for each in forked)
    assert {each.unguarded for each in forked} == {alone.unguarded}
    (pid,) = servers() - before
    assert children(pid) == []


def test_a_server_that_has_died_is_made_anew(server: ForkServer) -> None:
    """Between two candidates: nobody notices."""
    before = servers()
    judged(server)
    (pid,) = servers() - before
    os.kill(pid, signal.SIGKILL)
    assert judged(server).admitted
    (successor,) = servers() - before - {pid}
    assert successor != pid


def test_a_server_that_dies_under_a_child_is_no_verdict(server: ForkServer) -> None:
    """Nobody could judge: the candidate is tried again, and not refused."""
    before = servers()
    judged(server)
    (pid,) = servers() - before

    def stopped() -> bool:
        os.kill(pid, signal.SIGKILL)
        return False

    with pytest.raises(SandboxError, match="starts sandboxes has died"):
        judged(server, stopped)
    assert judged(server).admitted


def test_a_server_is_replaced_after_a_while(server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its children all have one layout of memory, which is not to be learned. The old one ends by itself."""
    monkeypatch.setattr(fork_server, "_FORKS", 2)
    before = servers()
    judged(server)
    first = servers() - before
    assert judged(server).admitted
    assert servers() - before == first
    assert judged(server).admitted
    until("the old server to end", lambda: not first & servers())
    assert len(servers() - before) == 1


def test_a_child_that_nobody_waits_for_is_ended(server: ForkServer) -> None:
    """And its server goes on."""
    with pytest.raises(SandboxError, match="nobody waits"):
        judged(server, lambda: True)
    assert judged(server).admitted


def test_a_process_with_thousands_of_open_files_is_served(server: ForkServer) -> None:
    """Its descriptors lie above those that select() can wait for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        assert judged(server).admitted
    finally:
        for file in held:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_file_is_lost_and_no_server_ended_where_too_many_are_open(
    server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is our own trouble: the child is started in the ordinary way, and the next one is forked again."""
    judged(server)
    before, files, pipe, left = servers(), open_files(), os.pipe, [2]

    def few() -> tuple[int, int]:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.EMFILE, "too many open files")
        return pipe()

    with monkeypatch.context() as patched:
        patched.setattr(os, "pipe", few)
        assert server._child() is None
    assert open_files() == files
    assert servers() == before
    assert judged(server).admitted


def test_a_server_that_is_forgotten_ends() -> None:
    """A service's runner is only ever dropped."""
    before, server = servers(), ForkServer(CHILD)
    judged(server)
    assert servers() > before
    del server
    assert servers() == before


def test_without_a_server_a_child_is_started() -> None:
    """This module cannot be rehearsed, so there will be no server; it says what it has to say all the same."""
    with closing(ForkServer("freshet.models.confine")) as none:
        ending = none.run({}, b"", 30.0)
    assert "unguarded" in ending.lines[-1]


def test_a_module_that_starts_threads_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rehearsal may take seconds. Its children are started one by one, and say what they have to say."""
    (tmp_path / "threaded.py").write_text(
        "import threading, time\n"
        "def rehearse(): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "if __name__ == '__main__': print('{}')\n"
    )
    rehearsed: list[int] = []
    begin = subprocess.Popen

    def counted(line: list[str], **how: Any) -> subprocess.Popen[Any]:
        rehearsed.extend([1] if "freshet.models.forking" in line else [])
        return begin(line, **how)

    monkeypatch.setattr(subprocess, "Popen", counted)
    with closing(ForkServer("threaded", {"PYTHONPATH": str(tmp_path)})) as none:
        assert [none.run({}, b"", 30.0).code for _ in range(3)] == [0, 0, 0]
    assert len(rehearsed) == 1


_DIES = f"""
import os, signal, sys, time
from freshet.models.fork_server import ForkServer
server = ForkServer({CHILD!r})
child = server._child()
print(server._server._process.pid, flush=True)
time.sleep(60)
"""


def test_a_server_ends_with_its_owner_and_its_children_with_it() -> None:
    """Whatever ends the owner."""
    with subprocess.Popen([sys.executable, "-c", _DIES], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert len(children(pid)) == 1
        owner.kill()
    until("the server to end", lambda: not Path(f"/proc/{pid}").exists())
