"""`schedule`: every day at the same time."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from freshet.pipeline.trigger import Occasion, Seen, Trigger

_MINUTE_MS = 60_000
_DAY_MS = 24 * 60 * _MINUTE_MS


class ScheduleTrigger(Trigger):
    """Once a day, from when the specification was applied on."""

    kind: ClassVar[str] = "schedule"

    at: str = Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")
    """The time of day as "03:00", in UTC."""

    def occasions(self, seen: Seen) -> Sequence[Occasion]:
        """At most one: of several that have passed unseen only the last counts."""
        hour, minute = map(int, self.at.split(":"))
        at_ms = (60 * hour + minute) * _MINUTE_MS
        due = (seen.now_ms - at_ms) // _DAY_MS * _DAY_MS + at_ms
        return [Occasion(self.kind, str(due))] if due > seen.applied_ms else []
