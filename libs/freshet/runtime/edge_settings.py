"""What every service at the edge that people or programs can ask over HTTP is started with."""

from typing import ClassVar, Final, Self

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from freshet.contracts.addresses import is_loopback
from freshet.runtime.settings import SettingsError

_LEAST_TOKEN: Final = 12


class EdgeSettings(BaseSettings):
    """Beside the settings of every service. A subclass names its prefix, as in `FRESHET_CONSOLE_`, and its words."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    service: ClassVar[str]
    guessed: ClassVar[str]
    """What whoever guesses the token can do."""
    may_be_none: ClassVar[str] = ""
    """What it is without a token, where that is of use."""
    open_to_all: ClassVar[str] = ""
    """What it would do on an open address without a token."""

    token: SecretStr = SecretStr("")
    """Without one only loopback addresses can be listened on."""
    hosts: str = ""
    """Further names under which it may be asked for, parted by commas; loopback names are always allowed."""

    @classmethod
    def load(cls, http_host: str) -> Self:
        """As the environment has them. Raises SettingsError; repeats no value, since one of them is a secret."""
        prefix = cls.model_config["env_prefix"]
        try:
            found = cls()
        except ValidationError as error:
            raise SettingsError(f"{prefix}*: {error.errors(include_input=False)[0]['msg']}.") from None
        token = found.token.get_secret_value()
        if 0 < len(token) < _LEAST_TOKEN:
            raise SettingsError(
                f"{prefix}TOKEN is too short: whoever guesses it can {cls.guessed}. Give at least {_LEAST_TOKEN} "
                f"characters{cls.may_be_none}."
            )
        if token != token.strip():
            raise SettingsError(
                f"{prefix}TOKEN begins or ends with a blank or a line end, which nobody can send with it: "
                "leave that out."
            )
        if not token and not is_loopback(http_host):
            raise SettingsError(
                f"the {cls.service} would listen on {http_host}, where others can reach it, so it needs {prefix}TOKEN"
                f"{cls.open_to_all}: set one, or leave FRESHET_HTTP_HOST at 127.0.0.1."
            )
        return found
