"""How the gateway is started: environment variables that begin with `FRESHET_GATEWAY_`."""

from ipaddress import ip_address
from typing import Final

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from freshet.runtime.settings import SettingsError

PORT: Final = 8091
_LEAST_TOKEN: Final = 12


class GatewaySettings(BaseSettings):
    """Beside the settings of every service."""

    model_config = SettingsConfigDict(env_prefix="FRESHET_GATEWAY_", frozen=True, extra="ignore")

    token: SecretStr = SecretStr("")
    """Callers send it as `Authorization: Bearer TOKEN`. Without one only loopback addresses can be listened on."""
    hosts: str = ""
    """Further names under which callers may ask for it, parted by commas; loopback names are always allowed."""


def gateway_settings(http_host: str) -> GatewaySettings:
    """As the environment has them. Raises SettingsError; repeats no value, since one of them is a secret."""
    try:
        found = GatewaySettings()
    except ValidationError as error:
        raise SettingsError(f"FRESHET_GATEWAY_*: {error.errors(include_input=False)[0]['msg']}.") from None
    token = found.token.get_secret_value()
    if 0 < len(token) < _LEAST_TOKEN:
        raise SettingsError(
            f"FRESHET_GATEWAY_TOKEN is too short: whoever guesses it can send events. Give at least {_LEAST_TOKEN} "
            "characters."
        )
    if not token and not is_loopback(http_host):
        raise SettingsError(
            f"the gateway would listen on {http_host}, where others can reach it, so it needs FRESHET_GATEWAY_TOKEN: "
            "set one, or leave FRESHET_HTTP_HOST at 127.0.0.1."
        )
    return found


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
