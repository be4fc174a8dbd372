"""The topics that a service cannot do without: which of them are not there, before it begins and while it runs."""

from collections.abc import Sequence
from typing import Final

import structlog

from freshet.contracts.errors import FreshetError
from freshet.contracts.topic_table import EVERY_SERVICE, TopicNames, topic_table
from freshet.runtime.bus.protocol import Bus, RightsError

_LOOK_MS: Final = 5_000
_LOOK_AGAIN_MS: Final = 1_000
"""How often to look while a topic is missing, or after a failure that a missing topic might explain."""
_NAMED: Final = 3


class TopicsMissingError(FreshetError):
    """Topics that a service needs are not there. It waits for them."""


def needed_roles(service: str) -> list[str]:
    """The roles that this service reads or writes: those of its name, and those of every service."""
    who = {service, EVERY_SERVICE}
    return [role for role, topic in topic_table().items() if who & {*topic.writers, *topic.readers}]


class Needed:
    """Looks every few seconds; `missing` says which topic is not there and what to do. It is logged once."""

    def __init__(self, bus: Bus, names: TopicNames, roles: Sequence[str]) -> None:
        """With no roles, nothing is ever missing."""
        self._bus, self._names, self._roles = bus, names, roles
        self._log = structlog.get_logger("loop").bind(pipeline=names.pipeline)
        self._looked_ms: int | None = None
        self.missing: str | None = None

    def look(self, now_ms: int, *, doubtful: bool = False) -> None:
        """Ask the broker if that is due, which is sooner when something is `doubtful`. Raises RetriableError."""
        pause_ms = _LOOK_AGAIN_MS if doubtful or self.missing else _LOOK_MS
        if not self._roles or (self._looked_ms is not None and 0 <= now_ms - self._looked_ms < pause_ms):
            return
        self._looked_ms = now_ms
        try:
            ids = self._bus.ask_topic_ids(self._roles)()
        except RightsError:
            return  # whoever uses the topic says which right is missing, and of which topic
        before, self.missing = self.missing, self._sentence([role for role in self._roles if not ids[role]])
        if self.missing and not before:
            self._log.error("topics_missing", why=self.missing)
        elif before and not self.missing:
            self._log.info("topics_there")

    def check(self) -> None:
        """Raises TopicsMissingError unless all are there, RetriableError if that cannot be known."""
        self._looked_ms = None
        self.look(0)
        if self.missing:
            raise TopicsMissingError(self.missing)

    def _sentence(self, roles: Sequence[str]) -> str | None:
        if not roles:
            return None
        topics = ", ".join(map(self._names.topic, roles[:_NAMED]))
        topics += f" and {len(roles) - _NAMED} more" if len(roles) > _NAMED else ""
        return (
            f"pipeline {self._names.pipeline} waits: there is no topic {topics}. `freshet apply -f FOLDER` publishes "
            "the pipeline and makes its topics. If they have other names, look at FRESHET_NAMESPACE."
        )
