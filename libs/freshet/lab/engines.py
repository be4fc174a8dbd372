"""The two things that can run our broker: Java on this machine, or a Docker engine."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Protocol

from freshet.lab.endpoint import Kind
from freshet.lab.java import Java
from freshet.lab.kafka_jars import KAFKA
from freshet.lab.server_files import LOOPBACK, Launch, StateFolder
from freshet.operate.errors import LocalError

_DOCKER_ANSWERS_WITHIN_S: Final = 10
_IMAGE: Final = f"apache/kafka:{KAFKA}"


class Engine(Protocol):
    """Knows one way to run a broker from a state folder."""

    kind: ClassVar[Kind]
    listen: ClassVar[str]
    """The address the broker binds for clients, seen from where it runs."""

    def command(self, launch: Launch) -> list[str]:
        """What to start; a process that lives as long as the broker and ends it in order on SIGTERM."""
        ...


@dataclass(frozen=True, slots=True)
class JavaEngine:
    """Runs the jars of the cache on a Java of this machine."""

    java: Java
    class_path: Sequence[Path]
    archives: Path
    """Where class-data archives are kept: they cut a start from 2 s to 0.8 s."""

    kind: ClassVar[Kind] = "java"
    listen: ClassVar[str] = LOOPBACK

    def command(self, launch: Launch) -> list[str]:
        class_path = ":".join(map(str, self.class_path))
        script = launch.script(str(self.java.executable), class_path, self._archive(launch.state, class_path))
        return ["/bin/sh", "-c", script]

    def _archive(self, state: StateFolder, class_path: str) -> tuple[str, ...]:
        """Use the archive made for exactly this Java and class path, or have the JVM write it at its exit."""
        key = hashlib.sha256(f"{self.java.executable}\n{self.java.version}\n{class_path}".encode()).hexdigest()[:16]
        archive = self.archives / f"classes-{key}.jsa"
        if archive.exists():
            return (f"-XX:SharedArchiveFile={archive}",)
        return (f"-XX:ArchiveClassesAtExit={state.path / archive.name}",)


@dataclass(frozen=True, slots=True)
class DockerEngine:
    """Runs Kafka's own image, with our settings instead of the image's start script."""

    docker: Path

    kind: ClassVar[Kind] = "docker"
    listen: ClassVar[str] = "0.0.0.0"  # noqa: S104  # inside the container; its port is published on loopback only

    def command(self, launch: Launch) -> list[str]:
        state = launch.state
        script = launch.script("java", "/opt/kafka/libs/*")
        return [
            str(self.docker),
            *("run", "--rm", "--name", container_name(state)),
            # The files keep our owner and their path, so that settings and data are the same for both engines.
            *("--user", f"{os.getuid()}:{os.getgid()}", "--volume", f"{state.path}:{state.path}"),
            *("--publish", f"{LOOPBACK}:{launch.client_port}:{launch.client_port}"),
            *("--entrypoint", "/bin/sh", _IMAGE, "-c", script),
        ]


def container_name(state: StateFolder) -> str:
    """One container per state folder, recognisable in `docker ps`."""
    return "freshet-kafka-" + hashlib.sha256(str(state.path).encode()).hexdigest()[:10]


def answering_docker(environ: Mapping[str, str]) -> Path | None:
    """The docker command if an engine answers it, else None."""
    docker = shutil.which("docker", path=environ.get("PATH"))
    if docker is None:
        return None
    try:
        subprocess.run([docker, "version"], capture_output=True, timeout=_DOCKER_ANSWERS_WITHIN_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return Path(docker)


def pull_image(docker: Path, *, say: Callable[[str], None]) -> None:
    """Fetch Kafka's image unless it is there. Raises LocalError with Docker's last words."""
    if subprocess.run([docker, "image", "inspect", _IMAGE], capture_output=True, check=False).returncode == 0:
        return
    say(f"pulling {_IMAGE}, once per machine")
    done = subprocess.run([docker, "pull", "--quiet", _IMAGE], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LocalError(
            f"Docker could not pull {_IMAGE}. Check the network, or install Java and Maven instead, which are "
            f"preferred. Docker's last words:\n{done.stderr.strip()[-1000:]}"
        )


def remove_container(state: StateFolder) -> None:
    """Kill and remove the folder's container if there is one.

    SIGKILL to the client that holds a container does not reach the container; this does.
    """
    subprocess.run(["docker", "rm", "--force", container_name(state)], capture_output=True, check=False)
