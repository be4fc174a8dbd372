"""How the console is started: environment variables that begin with `FRESHET_CONSOLE_`."""

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
    """Whoever enters it may act. Empty: the console only reads."""
    hosts: str = Field(default="")
    """Further names under which browsers may ask for it, parted by commas; loopback names are always allowed."""


def console_settings() -> ConsoleSettings:
    """As the environment has them. Raises SettingsError; repeats no value, since one of them is a secret."""
    try:
        found = ConsoleSettings()
    except ValidationError as error:
        raise SettingsError(f"FRESHET_CONSOLE_*: {error.errors(include_input=False)[0]['msg']}.") from None
    if 0 < len(found.token.get_secret_value()) < _LEAST_TOKEN:
        raise SettingsError(
            f"FRESHET_CONSOLE_TOKEN is too short: whoever guesses it can roll back. Give at least {_LEAST_TOKEN} "
            "characters, or none for a console that only reads."
        )
    return found
