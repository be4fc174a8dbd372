"""What is known about the Kafka of a folder, kept in `.local/kafka/endpoint.json`: `freshet local` writes it."""

import socket
import subprocess
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from freshet.operate.operate_error import LocalError

Kind = Literal["external", "java"]

ADMIN: Final = "admin"
"""The principal that may do everything on a secured local broker: whoever owns its folder."""

LOOPBACK: Final = "127.0.0.1"
"""Where the brokers of a folder listen, and nowhere else."""

_CONNECT_TIMEOUT_S: Final = 1.0


class Node(BaseModel):
    """One broker: its ports, and exactly which process it is. A stopped one has neither `pid` nor `started`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    client_port: int
    controller_port: int
    pid: int | None = None
    started: str | None = None
    """When the process was started: the same pid with another start is somebody else's process."""

    @property
    def address(self) -> str:
        """Where clients find it."""
        return f"{LOOPBACK}:{self.client_port}"

    @property
    def alive(self) -> bool:
        """Whether the recorded process still runs."""
        return self.pid is not None and self.started is not None and is_alive(self.pid, self.started)

    @property
    def answers(self) -> bool:
        """Whether a connection to it opens."""
        return _connects(self.address)

    @property
    def state(self) -> Literal["running", "crashed", "stopped"]:
        """`running` may still not answer; a `crashed` one ended by itself or by SIGKILL; a `stopped` one in order."""
        if self.alive:
            return "running"
        return "stopped" if self.pid is None else "crashed"

    def stopped(self) -> "Node":
        """The same broker without a process."""
        return self.model_copy(update={"pid": None, "started": None})


class Endpoint(BaseModel):
    """One Kafka: where it answers, and the brokers that it is made of; of an `external` one they are not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    bootstrap_servers: str
    nodes: tuple[Node, ...] = ()
    """In the order of their numbers, which begin with 1."""

    @property
    def alive(self) -> bool:
        """Whether one of its brokers runs."""
        return any(node.alive for node in self.nodes)

    @property
    def answers(self) -> bool:
        """Whether a connection to one of the bootstrap servers opens."""
        return any(_connects(server) for server in self.bootstrap_servers.split(","))


def record_of(folder: Path) -> Path:
    """Where the record of a folder's broker is."""
    return folder.resolve() / ".local" / "kafka" / "endpoint.json"


def login_file(folder: Path, principal: str) -> Path:
    """Where the client settings are with which a principal logs in to a folder's broker, if that is a secured one."""
    return record_of(folder).with_name("secured") / "logins" / f"{principal}.json"


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


def start_mark(pid: int) -> str | None:
    """When the living process `pid` was started, as an opaque text; None if there is none.

    The same pid with another mark is another process: pids are reused. A zombie has ended, whoever is late to
    collect it.
    """
    stat = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self/stat").exists():  # not Linux
        done = subprocess.run(
            ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        state, _, started = done.stdout.strip().partition(" ")
        return None if not state or state.startswith("Z") else started.strip()
    try:
        fields = stat.read_text().rpartition(")")[2].split()  # the name before may hold spaces and brackets
    except (FileNotFoundError, ProcessLookupError):
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()  # ticks since boot repeat after a reboot
    state, threads, start_ticks = fields[0], fields[17], fields[19]
    # A killed process of many threads shows as a zombie while the others still hold its ports and files.
    ended = state in "ZX" and threads == "1"
    return None if ended else f"{boot}:{start_ticks}"


def is_alive(pid: int, mark: str) -> bool:
    """Whether the process that had this pid and start mark still runs."""
    return start_mark(pid) == mark


def _connects(server: str) -> bool:
    host, _, port = server.strip().rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_TIMEOUT_S):
            return True
    except (OSError, ValueError):
        return False
