"""Where Kafka is, and a connection to it."""

import json
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from freshet.contracts.topic_table import TopicNames
from freshet.operate.broker_record import ADMIN, load, login_file, record_of
from freshet.operate.operate_error import OperateError
from freshet.operate.progress import Say, silent
from freshet.operate.records import Readable, readable
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.kafka.admin_errors import RefusedLoginError, UnreachableError
from freshet.runtime.settings import BOOTSTRAP_VARIABLE, KAFKA_VARIABLE, Settings, SettingsError, load_settings

_TIMEOUT_S: Final = 5.0  # a person waits
PATIENCE_S: Final = 15.0
"""A broker that has just come back may answer, and yet not know the leaders of its partitions for some seconds."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A Kafka cluster and the namespace on it."""

    bootstrap_servers: str
    namespace: str
    client: dict[str, str] = field(repr=False)
    """Further client settings, such as TLS and SASL."""
    admin: KafkaAdmin
    say: Say = silent
    """Whoever wants to know what takes long."""
    known_login: str = field(default="", repr=False)
    """FRESHET_SCHEMA_REGISTRY: the address of a schema registry with the login for that server."""
    patience_s: float = 0.0
    """For so long its buses ask again what a broker cannot answer just now."""

    def names(self, pipeline: str = "") -> TopicNames:
        """Physical names, for one pipeline or for control topics only."""
        return TopicNames(self.namespace, pipeline)

    def bus(self, pipeline: str = "") -> KafkaBus:
        """A bus for one pipeline, or for control topics only."""
        return KafkaBus(self.bootstrap_servers, self.names(pipeline), extra=self.client, patience_s=self.patience_s)

    def readable(self, pipeline: str = "") -> Readable:
        """Decodes records of all topics; with a pipeline, also its events that have the ids of its registry."""
        return readable(self.bus(), pipeline, self.known_login)


def connect(settings: Settings, say: Say = silent) -> Connection:
    """The cluster that the settings name; raises UnreachableError, also where it refuses us."""
    # the client repeats ten times a second what an error will say once
    logging.getLogger("freshet.kafka").setLevel(logging.CRITICAL)
    admin = KafkaAdmin(settings.bootstrap_servers, extra=settings.kafka, timeout_s=_TIMEOUT_S)
    try:
        admin.names()
    except UnreachableError as error:
        if isinstance(error, RefusedLoginError) or not _is_local(settings.bootstrap_servers):
            raise
        raise UnreachableError(
            f"{error} It is {address(settings.bootstrap_servers)}: `freshet local down` and `freshet local up` there "
            "start it anew, with its data."
        ) from error
    login = settings.schema_registry.get_secret_value()
    return Connection(settings.bootstrap_servers, settings.namespace, settings.kafka, admin, say, login, PATIENCE_S)


def settings_for(bootstrap_servers: str | None, principal: str = ADMIN, **given: object) -> Settings:
    """The settings that are given, else the environment's; for the secured broker of this folder, those of a principal.

    FRESHET_KAFKA, if it is set, goes before the principal's login. Raises SettingsError.
    """
    servers = bootstrap_servers or os.environ.get(BOOTSTRAP_VARIABLE, "")
    login, secured = login_file(Path.cwd(), principal), login_file(Path.cwd(), ADMIN).exists()
    if secured and KAFKA_VARIABLE not in os.environ and _is_local(servers):
        if not login.exists():
            raise SettingsError(
                f"{principal} has no user on the secured broker of this folder: set {KAFKA_VARIABLE} to the settings "
                f"of one that has its rights, such as a file of {login.parent}."
            )
        given["kafka"] = json.loads(login.read_text())
    return load_settings(bootstrap_servers, **given)


def address(bootstrap_servers: str) -> str:
    """A Kafka's address in words: whoever named none must be told which folder's broker was asked."""
    return (
        f"{bootstrap_servers}, the local broker of {Path.cwd()}" if _is_local(bootstrap_servers) else bootstrap_servers
    )


def _is_local(bootstrap_servers: str) -> bool:
    known = load(record_of(Path.cwd()))
    return known is not None and known.bootstrap_servers == bootstrap_servers


def local_broker(ask: str = "give --bootstrap") -> str:
    """The address of the running broker of this folder, for whoever names no Kafka.

    Raises OperateError if there is none; `ask` is how a Kafka is named instead.
    """
    here = Path.cwd()
    known = load(record_of(here))
    if known is None:
        above = next((folder for folder in here.parents if load(record_of(folder)) is not None), None)
        hint = "start a broker here with `freshet local up`." if above is None else f"go to {above}, which has one."
        raise OperateError(
            f"no Kafka is named, and this folder, {here}, has no local broker. {ask[0].upper()}{ask[1:]} or set "
            f"{BOOTSTRAP_VARIABLE}; or {hint}",
            "unreachable",
        )
    if not known.alive:
        raise OperateError(
            f"the local broker of this folder, {here}, is not running. Start it with `freshet local up`; if you mean "
            f"another Kafka, go to the folder that it was started in, {ask}, or set {BOOTSTRAP_VARIABLE}.",
            "unreachable",
        )
    return known.bootstrap_servers
