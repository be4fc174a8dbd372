"""How a process ends: while its libraries are still being loaded, and afterwards."""

import os
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


_END: Final = """
import ctypes, sys, types
import freshet.cli.entry as entry
c = ctypes.CDLL(None)
c.on_exit(c.abort, None)
loaded = types.ModuleType("freshet.cli.main")
loaded.main = lambda: (sys.stdout.write("told"), exec(sys.argv[1]))
sys.modules["freshet.cli.main"] = loaded
entry.main()
"""


@pytest.mark.parametrize(
    ("does", "code", "error"),
    [
        ("pass", 0, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit(4)", 4, ""),
        ("sys.exit('so')", 1, "so\n"),
        ("raise KeyboardInterrupt", 130, ""),
        ("import atexit; atexit.register(print, 'all', file=sys.stderr)", 0, "all\n"),
        ("import threading; threading.Timer(0.2, print, ['all'], {'file': sys.stderr}).start()", 0, "all\n"),
        ("sys.stdout.close()", 0, ""),
        ("import os; os.dup2(os.open('/dev/full', 1), 1)", 1, "cannot be written: No space left on device.\n"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="on_exit is a function of glibc")
def test_no_c_library_cleans_up_under_the_kafka_client(does: str, code: int, error: str) -> None:
    """The stand-in for such a library ends the process by SIGABRT. What Python code has to say, or to do, is done."""
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    line = [sys.executable, "-c", _END, does]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=30, check=False, env=buffered)
    assert ended.returncode == code
    assert ended.stderr.endswith(error)
    assert bool(ended.stderr) == bool(error)
    assert ended.stdout == ("" if "full" in does else "told")
