"""How the bridge is started: environment variables that begin with `FRESHET_WEBHOOK_`."""

import re
from pathlib import Path
from typing import Final

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from freshet.contracts.errors import FreshetError
from freshet.runtime.settings import SettingsError
from freshet.webhook.core.delivery import KINDS
from freshet.webhook.core.hook_target import HookTarget, target_of

_LEAST_SECRET: Final = 16
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]+")


class WebhookSettings(BaseSettings):
    """Beside the settings of every service."""

    model_config = SettingsConfigDict(env_prefix="FRESHET_WEBHOOK_", frozen=True, extra="ignore")

    url: SecretStr
    """Where requests go. A secret, because addresses of chat services hold one."""
    secret: SecretStr
    """Signs every request."""
    letters: Path
    """The file for what the receiver did not take."""
    insecure: bool = False
    """Allows http to other machines than this one."""
    kinds: str = ",".join(KINDS)
    """What is sent, parted by commas."""
    pipelines: str = ""
    """About which pipelines, parted by commas; all if empty."""
    patience_s: float = Field(default=3600.0, gt=0, allow_inf_nan=False)
    """How long a record is tried before it goes to the dead-letter file."""
    name: str = "main"
    """Of this bridge: each has its own place in the topics, so that several can send to different receivers."""

    @property
    def target(self) -> HookTarget:
        """Where requests go. Raises FreshetError."""
        return target_of(self.url.get_secret_value(), self.insecure)

    @property
    def roles(self) -> tuple[str, ...]:
        """Of the topics to read."""
        return tuple(kind for kind in KINDS if kind in _parted(self.kinds))

    @property
    def wanted(self) -> frozenset[str]:
        """The pipelines to tell of; all if empty."""
        return _parted(self.pipelines)


def webhook_settings() -> WebhookSettings:
    """As the environment has them. Raises SettingsError; repeats no value, since some are secrets."""
    try:
        found = WebhookSettings()  # type: ignore[call-arg]  # the environment gives them
    except ValidationError as error:
        told = [f"FRESHET_WEBHOOK_{str(one['loc'][0]).upper()}: {one['msg']}." for one in error.errors()]
        raise SettingsError("\n".join(told)) from None
    try:
        _ = found.target
    except FreshetError as error:
        raise SettingsError(str(error)) from None
    if len(found.secret.get_secret_value()) < _LEAST_SECRET:
        raise SettingsError(
            f"FRESHET_WEBHOOK_SECRET is too short: whoever guesses it can send alarms. Give at least {_LEAST_SECRET} "
            "characters."
        )
    unknown = sorted(_parted(found.kinds) - {*KINDS})
    if unknown or not found.roles:
        raise SettingsError(f"FRESHET_WEBHOOK_KINDS may name {', '.join(KINDS)}, parted by commas, and at least one.")
    if not _NAME.fullmatch(found.name):
        raise SettingsError("FRESHET_WEBHOOK_NAME may hold letters, digits, '_' and '-' only.")
    return found


def _parted(text: str) -> frozenset[str]:
    return frozenset(filter(None, (name.strip() for name in text.split(","))))
