"""What is known about a broker on this machine, kept in `.local/kafka/endpoint.json`."""

import secrets
import socket
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from freshet.lab.processes import is_alive
from freshet.lab.server_files import LOOPBACK
from freshet.operate.errors import LocalError

Kind = Literal["external", "java"]

_PORT_FIRST: Final = 20_000
_PORT_COUNT: Final = 10_000
_CONNECT_TIMEOUT_S: Final = 1.0


class Endpoint(BaseModel):
    """One broker: where it answers, what runs it, and exactly which process that is.

    A stopped broker keeps its ports and has neither `pid` nor `started`; `external` has nothing but its address.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    bootstrap_servers: str
    client_port: int | None = None
    controller_port: int | None = None
    pid: int | None = None
    started: str | None = None
    """When the process was started: the same pid with another start is somebody else's process."""

    @property
    def alive(self) -> bool:
        """Whether the recorded process still runs."""
        return self.pid is not None and self.started is not None and is_alive(self.pid, self.started)

    @property
    def answers(self) -> bool:
        """Whether a connection to one of the bootstrap servers opens."""
        return any(_connects(server) for server in self.bootstrap_servers.split(","))

    def stopped(self) -> "Endpoint":
        """The same broker without a process."""
        return self.model_copy(update={"pid": None, "started": None})


def load(path: Path) -> Endpoint | None:
    """Read a record; None if there never was one. Raises LocalError if it cannot be understood."""
    try:
        return Endpoint.model_validate_json(path.read_text())
    except FileNotFoundError:
        return None
    except ValidationError as broken:
        raise LocalError(
            f"{path} is not a record of a broker: {broken.errors()[0]['msg']}. If no broker of this folder runs, "
            "delete the file; its data stay and are used again."
        ) from broken


def save(path: Path, endpoint: Endpoint) -> None:
    """Write a record whole or not at all: readers do not lock."""
    scratch = path.with_suffix(".new")
    scratch.write_text(endpoint.model_dump_json(indent=2, exclude_none=True) + "\n")
    scratch.replace(path)


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        # As the broker does it: connections of its predecessor that still linger are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A loopback port that nobody listens on, from 20000 to 29999, drawn at random.

    Not the kernel's choice: that comes from the range of outgoing connections, where a client that retries while
    the broker is down can be given the broker's own port, and so keep it from coming back.
    """
    while True:
        port = _PORT_FIRST + secrets.randbelow(_PORT_COUNT)
        if port_is_free(port):
            return port


def _connects(server: str) -> bool:
    host, _, port = server.strip().rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_TIMEOUT_S):
            return True
    except (OSError, ValueError):
        return False
