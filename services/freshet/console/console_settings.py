"""How the console is started: environment variables that begin with `FRESHET_CONSOLE_`."""

from typing import ClassVar, Final

from pydantic_settings import SettingsConfigDict

from freshet.runtime.edge_settings import EdgeSettings

PORT: Final = 8090


class ConsoleSettings(EdgeSettings):
    """Whoever enters the token may act; without one the console only reads."""

    model_config = SettingsConfigDict(env_prefix="FRESHET_CONSOLE_")

    service: ClassVar[str] = "console"
    guessed: ClassVar[str] = "roll back"
    may_be_none: ClassVar[str] = ", or none for a console that only reads"
    open_to_all: ClassVar[str] = ", without which it shows events to everybody"
