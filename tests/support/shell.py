"""The installed `freshet` as a newcomer uses it: as a command, in a folder of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from freshet.lab.logins import Logins
from freshet.lab.server_files import StateFolder
from freshet.operate.broker_record import ADMIN, load
from freshet.runtime.bus.kafka.admin import KafkaAdmin

_FRESHET: Final = Path(sys.executable).with_name("freshet")
_PATIENCE_S: Final = 900.0  # the demo took 365 s beside three other long tests on two slow cores


class Shell:
    """Runs `freshet …` in one folder, whose own broker is the only Kafka it knows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._services: list[tuple[str, subprocess.Popen[bytes]]] = []
        ours = {name for name in os.environ if name.startswith("FRESHET_")} | {"KAFKA_BOOTSTRAP_SERVERS"}
        self._environment = {name: value for name, value in os.environ.items() if name not in ours}

    def freshet(self, *arguments: str, code: int = 0) -> str:
        """What the command prints on stdout; it must end with this code."""
        return self.both(*arguments, code=code)[0]

    def both(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """What the command prints on stdout and on stderr; it must end with this code."""
        done = subprocess.run(
            [_FRESHET, *arguments],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
        assert done.returncode == code, f"freshet {' '.join(arguments)} → {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout, done.stderr

    def document(self, *arguments: str, code: int = 0) -> Any:
        """What the command prints with `--json`."""
        return json.loads(self.freshet(*arguments, "--json", code=code))

    def begin(self, *arguments: str) -> None:
        """Run the command in the background; its output is in `<name of the service>.log`."""
        name = arguments[1]
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [_FRESHET, *arguments],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._services.append((name, process))

    def topics(self) -> list[str]:
        """All topics on the folder's broker, but those of Kafka itself."""
        endpoint = load(StateFolder.of(self.folder).endpoint)
        assert endpoint is not None
        login = Logins.at(self.folder, endpoint).login(ADMIN)
        admin = KafkaAdmin(endpoint.bootstrap_servers, extra=login)
        return [name for name in admin.names() if not name.startswith("__")]

    def end(self) -> dict[str, int]:
        """SIGTERM to all that was begun; their exit codes, by name."""
        for _, process in self._services:
            process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> dict[str, int]:
        """The exit codes of all that was begun, by name, once it has ended."""
        codes = {name: process.wait(_PATIENCE_S) for name, process in self._services}
        self._services.clear()
        return codes

    def close(self) -> None:
        """Leave nothing behind, whatever happened."""
        for _, process in self._services:
            process.kill()
            process.wait()
        self.freshet("local", "down")
        self.freshet("local", "wipe", "--yes")


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A shell in an empty folder; at the end the broker that was started there is gone with its data."""
    made = Shell(tmp_path)
    try:
        yield made
    finally:
        made.close()
