"""`rows`: the labelled log has grown by so many rows."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from freshet.pipeline.trigger import Occasion, Seen, Trigger


class RowsTrigger(Trigger):
    """Every so many rows since the last training, or since it was due the last time."""

    kind: ClassVar[str] = "rows"
    counts_rows: ClassVar[bool] = True

    every: int = Field(ge=1)
    """So many rows."""

    def occasions(self, seen: Seen) -> Sequence[Occasion]:
        """At most one: of several that have passed unseen only the last counts."""
        rows = seen.rows or 0
        answered = (int(row) for row in seen.answered_of(self.kind))
        since = max((row for row in (seen.trained_row, *answered) if row <= rows), default=0)
        due = since + (rows - since) // self.every * self.every
        return [Occasion(self.kind, str(due))] if due > since else []
