"""Where and how a process runs: from the environment, overridden by flags. What a pipeline means is in pipeline.yaml."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of a service process. Variables start with `FRESHET_`, such as `FRESHET_HTTP_PORT`."""

    model_config = SettingsConfigDict(env_prefix="FRESHET_", frozen=True, extra="ignore")

    bootstrap_servers: str = Field(validation_alias="KAFKA_BOOTSTRAP_SERVERS")
    """Kafka's address."""
    kafka: dict[str, str] = {}
    """Further client settings as JSON, such as TLS and SASL: {"security.protocol": "SASL_SSL", …}."""
    namespace: str = ""
    """Prefix of every topic, group and transactional id: a tenant or an environment, such as `dev.`."""
    slot: str = "0"
    """This process among its equals. A fixed slot keeps its partitions over a restart."""
    slots: Literal["fixed", "elastic"] = "fixed"
    """fixed: restarted in place under the same slot. elastic: comes and goes, for autoscaling."""
    http_host: str = "127.0.0.1"
    http_port: int = 0
    """For /live, /ready and /metrics; 0 takes a free port and logs it."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    on_expired: Literal["stop", "skip"] = "stop"
    """When retention has overtaken us: stop, or jump ahead and leave a dead letter that says what was skipped."""
    shutdown_s: float = 25.0
    """One budget for everything between SIGTERM and exit; the process ends itself after it."""
    transaction_timeout_ms: int = 15_000
    """How long a killed worker's open transaction may hide the rows behind it, unless it is restarted in place."""
