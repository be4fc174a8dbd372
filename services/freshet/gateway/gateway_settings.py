"""How the gateway is started: environment variables that begin with `FRESHET_GATEWAY_`."""

from typing import ClassVar, Final

from pydantic_settings import SettingsConfigDict

from freshet.runtime.edge_settings import EdgeSettings

PORT: Final = 8091


class GatewaySettings(EdgeSettings):
    """Callers send the token as `Authorization: Bearer TOKEN`."""

    model_config = SettingsConfigDict(env_prefix="FRESHET_GATEWAY_")

    service: ClassVar[str] = "gateway"
    guessed: ClassVar[str] = "send events"
