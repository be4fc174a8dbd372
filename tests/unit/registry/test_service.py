"""The registry's start: what it lacks it says at once."""

import subprocess
import sys
from typing import Any

import pytest
from structlog.testing import capture_logs

from freshet.models.sandbox import SandboxError
from freshet.registry import service

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


@pytest.mark.parametrize(
    ("found", "events"),
    [
        ((), []),
        (("it could open files (ENOSYS)",), ["sandbox_unguarded"]),
        (SandboxError("no"), ["sandbox_does_not_start"]),
    ],
)
def test_what_the_sandbox_cannot_guard_is_said_at_start(
    found: Any, events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line in the log that names it; none where all is guarded."""

    def look() -> Any:
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(service, "unguarded", look)
    with capture_logs() as logs:
        service._look_at_sandbox()
    assert [line["event"] for line in logs] == events
