"""The registry's start: what it lacks it says at once."""

import subprocess
import sys

_WITHOUT_EXTRA = """
import sys
sys.modules["onnx"] = None
sys.argv = ["freshet", "run", "registry", "--bootstrap", "127.0.0.1:1"]
from freshet.cli.main import main
main()
"""


def test_registry_without_its_extra_refuses_to_start() -> None:
    """Only its sandboxed child needs it: else it would call itself ready, and try each admission for ever."""
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_EXTRA], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "pip install 'freshet[registry]'" in done.stderr
