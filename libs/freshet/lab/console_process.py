"""The console as a process beside a local deployment, for whoever wants to look at a page."""

import secrets
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from freshet.lab.ports import free_port, port_is_free
from freshet.lab.supervisor import Supervisor

CONSOLE: Final = "console"
"""Its name among the processes."""
_PORT: Final = 8090
_NEEDED: Final = ("starlette", "uvicorn", "jinja2")
_START_S: Final = 30.0
_POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class OpenConsole:
    """Where it is, and what has to be entered there to act."""

    address: str
    token: str


def open_console(supervisor: Supervisor, env: Mapping[str, str]) -> OpenConsole | None:
    """Start the console, and wait until it answers; None if its packages are not installed, or it does not answer."""
    if any(find_spec(name) is None for name in _NEEDED):
        return None
    port = _PORT if port_is_free(_PORT) else free_port()
    found = OpenConsole(f"http://127.0.0.1:{port}", secrets.token_urlsafe(12))
    command = [sys.executable, "-m", "freshet.cli", "run", CONSOLE, "--http-port", str(port)]
    supervisor.start(CONSOLE, command, {**env, "FRESHET_CONSOLE_TOKEN": found.token})
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{found.address}/live", timeout=_POLL_S * 10):  # noqa: S310 - loopback
                return found
        except OSError:
            time.sleep(_POLL_S)
    return None
