"""What a sandboxed child may learn of its parent, and what is said of a sandbox that cannot guard."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from freshet.models import sandbox
from freshet.models.sandbox import ENVIRONMENT, Ending, SandboxError, run_child, unguarded

_PARENT = """
import ctypes, os, subprocess, sys
from freshet.models.confine import hide_secrets
from freshet.models.memory import ResidentMemory
from freshet.models.model_file import ModelFile
if os.geteuid() == 0:  # root may read everything: be somebody else, as readable as a process that was started so
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
if sys.argv[1] == "hide":
    hide_secrets()
told = subprocess.run(["/bin/cat", f"/proc/{os.getpid()}/environ"], env={}, capture_output=True, text=True)
assert ResidentMemory().resident_bytes() > 0
assert ModelFile.of(b"model").content() == b"model"
assert open(f"/proc/self/fd/{os.memfd_create('x')}", "rb").read() == b"" and os.environ["FRESHET_KAFKA"]
print("read" if "secret" in told.stdout else "refused")
"""


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="Linux keeps environments in /proc")
@pytest.mark.parametrize(("hide", "told"), [("no", "read"), ("hide", "refused")])
def test_child_of_the_same_user_cannot_read_its_parents_environment(hide: str, told: str) -> None:
    """Where no landlock forbids it, the kernel does; the parent goes on as before. Without it, all of it is read."""
    done = subprocess.run(
        [sys.executable, "-c", _PARENT, hide],
        env={"FRESHET_KAFKA": "secret", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == told, done.stderr


def test_no_child_starts_before_secrets_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs a sandbox has hidden what it knows."""
    hidden: list[bool] = []
    monkeypatch.setattr(sandbox, "hide_secrets", lambda: hidden.append(True))
    unguarded()
    assert hidden == [True]


def test_rehearsal_says_what_is_unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real child runs and answers; what it names is handed on as it is."""
    assert isinstance(unguarded(), tuple)
    monkeypatch.setattr(sandbox, "run_child", lambda *_: Ending(({"unguarded": ["it could open files"]},), 0))
    assert unguarded() == ("it could open files",)


def test_a_child_that_nobody_waits_for_is_ended_at_once() -> None:
    """A hostile model may use up all of its time, but not when its candidate was withdrawn, or the registry stops."""
    asked: list[bool] = []

    def stopped() -> bool:
        asked.append(len(asked) > 1)
        return asked[-1]

    with pytest.raises(SandboxError, match="nobody waits"):
        run_child("timeit", {}, b"", 300.0, stopped)
    assert asked == [False, False, True]


_LEARNS: Final = """
import os, lightgbm, pandas, pyarrow, river, skl2onnx, sklearn.ensemble, sklearn.linear_model
print(*(open(f"/proc/self/task/{task}/comm").read().strip() for task in os.listdir("/proc/self/task")))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="Linux lists threads in /proc")
def test_no_library_of_a_training_starts_a_thread_in_a_child() -> None:
    """A process with threads cannot enter a user namespace, which cuts it off from the network, and is not forked."""
    done = subprocess.run(
        [sys.executable, "-s", "-P", "-c", _LEARNS], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert len(done.stdout.split()) == 1, done.stdout
