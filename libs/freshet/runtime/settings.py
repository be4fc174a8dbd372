"""Where and how a process runs: from the environment, overridden by flags. Pipelines are data: `pipeline.yaml`."""

import re
import socket
from pathlib import Path
from typing import Any, Final, Literal

import pydantic_settings
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from freshet.contracts.errors import ContractError, FreshetError
from freshet.contracts.registry_address import address_and_login
from freshet.runtime.secret_files import with_secrets

BOOTSTRAP_VARIABLE: Final = "KAFKA_BOOTSTRAP_SERVERS"
_PREFIX: Final = "FRESHET_"
KAFKA_VARIABLE: Final = f"{_PREFIX}KAFKA"
_SEPARATORS: Final = "._-"
_NAME: Final = re.compile(r"[a-zA-Z0-9._-]*")


_OURS: Final = "every answer exactly once rests on it"
_NOT_YOURS: Final = {
    **dict.fromkeys(
        (
            "isolation.level",
            "enable.auto.commit",
            "enable.auto.offset.store",
            "auto.offset.reset",
            "group.protocol",
            "partition.assignment.strategy",
            "enable.idempotence",
            "acks",
            "request.required.acks",
            "max.in.flight.requests.per.connection",
            "max.in.flight",
            "partitioner",
            "check.crcs",
            "enable.partition.eof",
        ),
        _OURS,
    ),
    "group.id": "the namespace and the pipeline give it",
    "group.instance.id": "the slot gives it: set FRESHET_SLOT",
    "transactional.id": "the slot gives it: set FRESHET_SLOT",
    "transaction.timeout.ms": "set FRESHET_TRANSACTION_TIMEOUT_MS",
    "bootstrap.servers": f"set {BOOTSTRAP_VARIABLE}",
    "metadata.broker.list": f"set {BOOTSTRAP_VARIABLE}",
}
"""Client settings that nobody may override, and why."""


class SettingsError(FreshetError):
    """Settings that cannot be used; the message holds a sentence for each."""


class Settings(BaseSettings):
    """Settings of a service process. Variables start with `FRESHET_`, such as `FRESHET_HTTP_PORT`."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="ignore")

    bootstrap_servers: str = Field(validation_alias=BOOTSTRAP_VARIABLE, min_length=1)
    """Kafka's address."""
    kafka: dict[str, str] = Field(default={}, repr=False)
    """Further client settings as JSON, such as TLS and SASL: {"security.protocol": "SASL_SSL", …}. A password, secret
    or private key may stand in a file: `sasl.password.file` names it.
    """
    namespace: str = ""
    """Prefix of every topic, group and transactional id: a tenant or an environment, such as `dev.`.

    Empty, or ends in '.', '_' or '-'.
    """
    slots: Literal["fixed", "elastic"] = "fixed"
    """fixed: restarted in place under the same slot. elastic: comes and goes, for autoscaling."""
    slot: str = Field(
        default_factory=lambda given: socket.gethostname() if given.get("slots") == "elastic" else "0", min_length=1
    )
    """The name of this process among others of its service: 0 by default, or the host's name if elastic. A fixed slot
    keeps its partitions over a restart.
    """
    host: str = Field(default_factory=socket.gethostname, min_length=1)
    """This machine among those that may have the same slot: two that share no state folder need different ones."""
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=0, ge=0, le=65_535)
    """For /live, /ready and /metrics; 0 takes a free port and logs it."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    on_expired: Literal["stop", "skip"] = "stop"
    """What to do when retention has deleted unread records: stop, or skip them and leave a dead letter that says which.
    """
    shutdown_s: float = Field(default=25.0, gt=0, allow_inf_nan=False)
    """The time budget for everything between SIGTERM and exit; after it the process ends itself."""
    state_dir: Path = Path(".local/state")
    """Folder of small caches that outlive a process but need not outlive the machine; everything works without."""
    drift_engine: Literal["loop", "faust"] = "loop"
    """What detection of drift runs on: Freshet's own loop, or Faust. Both raise the same alarms from the same state."""
    trainer_programs: Path | None = None
    """Folder of the programs that the trainer `command` may run; without it, none."""
    trust: Path | None = None
    """The trust file: whose signatures count. Needed where a pipeline says `trust: required`; read each second."""
    release_key: Path | None = None
    """The registry's private key: with it, the registry signs every epoch."""
    builder_key: Path | None = None
    """Retraining's private key: with it, retraining signs the models that it makes."""
    schema_registry: SecretStr = SecretStr("")
    """The address of a schema registry with the login for it, as in https://user:password@host. Pipelines that name a
    registry at that scheme, host and port are given the login; no other server ever sees it.
    """
    transaction_timeout_ms: int = Field(default=15_000, ge=1000)
    """How long a killed worker's open transaction may hide the rows behind it, unless it is restarted in place."""

    @field_validator("kafka")
    @classmethod
    def _keeps_promises(cls, value: dict[str, str]) -> dict[str, str]:
        refused = [f"{key} cannot be set here, since {_NOT_YOURS[key]}" for key in value if key in _NOT_YOURS]
        if refused:
            raise ValueError("; ".join(refused))
        return with_secrets(value)

    @field_validator("schema_registry")
    @classmethod
    def _an_address(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            try:
                address_and_login(value.get_secret_value())
            except ContractError as error:
                raise ValueError(str(error)) from None
        return value

    @field_validator("namespace", "slot")
    @classmethod
    def _part_of_names(cls, value: str, info: ValidationInfo) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError(f"{info.field_name} {value!r} may hold letters, digits, '.', '_' and '-' only")
        return value

    @field_validator("namespace")
    @classmethod
    def _ends_as_a_prefix(cls, value: str) -> str:
        if value and value[-1] not in _SEPARATORS:
            raise ValueError(
                f"namespace {value!r} is put before every name as it stands, so it must end in '.', '_' or '-': "
                f"write '{value}.'"
            )
        return value


def load_settings(bootstrap_servers: str | None = None, **given: object) -> Settings:
    """The settings that are given, else the environment's, else the defaults.

    Raises SettingsError. It names variables and what they may hold, but repeats no value: some are secrets.
    """
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if bootstrap_servers is not None:
        values[BOOTSTRAP_VARIABLE] = bootstrap_servers
    try:
        return Settings(**values)
    except ValidationError as error:
        problems = error.errors(include_input=False)
        # a default that follows from other settings is not to blame for their faults
        told = [problem for problem in problems if problem["type"] != "default_factory_not_called"]
        raise SettingsError("\n".join(map(_sentence, told))) from None
    except pydantic_settings.SettingsError:
        raise SettingsError(f'{_PREFIX}KAFKA: it must be a JSON object, such as {{"sasl.mechanism": "…"}}.') from None


def _sentence(problem: ErrorDetails) -> str:
    name, *within = map(str, problem["loc"])
    variable = name if name == BOOTSTRAP_VARIABLE else f"{_PREFIX}{name.upper()}"
    return ": ".join([variable, *within, problem["msg"].removeprefix("Value error, ")]) + "."
