"""What ends a process while its libraries are still being loaded."""

import subprocess
import sys
from typing import Final

import pytest

_START: Final = """
import os, signal, sys, types
import freshet.cli.entry as entry
loaded = types.ModuleType("freshet.cli.main")
loaded.main = lambda: os.kill(os.getpid(), signal.SIGTERM)
sys.modules["freshet.cli.main"] = loaded
sys.argv = ["freshet", *sys.argv[1:]]
entry.main()
"""


@pytest.mark.parametrize(
    ("command", "code", "says"), [("run", 143, "nothing was read or written"), ("replay", -15, "")]
)
def test_a_service_that_is_terminated_early_says_so(command: str, code: int, says: str) -> None:
    """Before it has set its own handler; any other command ends by the signal as all programs do."""
    ended = subprocess.run(
        [sys.executable, "-c", _START, command], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == code
    assert says in ended.stderr
