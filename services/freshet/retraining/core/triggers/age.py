"""`age`: what the model learned from is so old."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import field_validator

from freshet.contracts.duration import Duration
from freshet.pipeline.trigger import Occasion, Seen, Trigger


class AgeTrigger(Trigger):
    """So long after the newest label that a model learned from; where none is known, after the model was admitted."""

    kind: ClassVar[str] = "age"

    after: Duration
    """So long."""

    @field_validator("after")
    @classmethod
    def _lasts(cls, after: Duration) -> Duration:
        if not after.ms:
            raise ValueError("must be longer than nothing, or it would be due for ever")
        return after

    def occasions(self, seen: Seen) -> Sequence[Occasion]:
        """At most one: of several that have passed unseen only the last counts."""
        since = max([seen.trained_ms, *map(int, seen.answered_of(self.kind))])
        if not since:
            return []
        due = since + (seen.now_ms - since) // self.after.ms * self.after.ms
        return [Occasion(self.kind, str(due))] if due > since else []
