"""How the console is started: environment variables that begin with `FRESHET_CONSOLE_`."""

from ipaddress import ip_address
from typing import Final

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from freshet.runtime.settings import SettingsError

PORT: Final = 8090
_LEAST_TOKEN: Final = 12


class ConsoleSettings(BaseSettings):
    """Beside the settings of every service."""

    model_config = SettingsConfigDict(env_prefix="FRESHET_CONSOLE_", frozen=True, extra="ignore")

    token: SecretStr = SecretStr("")
    """Whoever enters it may act. Empty: the console only reads, and only loopback addresses can be listened on."""
    hosts: str = Field(default="")
    """Further names under which browsers may ask for it, parted by commas; loopback names are always allowed."""


def console_settings(http_host: str) -> ConsoleSettings:
    """As the environment has them. Raises SettingsError; repeats no value, since one of them is a secret."""
    try:
        found = ConsoleSettings()
    except ValidationError as error:
        raise SettingsError(f"FRESHET_CONSOLE_*: {error.errors(include_input=False)[0]['msg']}.") from None
    token = found.token.get_secret_value()
    if 0 < len(token) < _LEAST_TOKEN:
        raise SettingsError(
            f"FRESHET_CONSOLE_TOKEN is too short: whoever guesses it can roll back. Give at least {_LEAST_TOKEN} "
            "characters, or none for a console that only reads."
        )
    if not token and not is_loopback(http_host):
        raise SettingsError(
            f"the console would listen on {http_host}, where others can reach it, so it needs FRESHET_CONSOLE_TOKEN, "
            "without which it shows events to everybody: set one, or leave FRESHET_HTTP_HOST at 127.0.0.1."
        )
    return found


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
