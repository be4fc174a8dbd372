"""`rows`: the labelled log has grown by so many rows."""

from collections.abc import Sequence
from typing import ClassVar, Final

from pydantic import Field

from freshet.pipeline.trigger import Occasion, Seen, Trigger

_OF: Final = " of "
"""Between row and log in the id of an occasion: a log that is made anew has rows of the same numbers."""


class RowsTrigger(Trigger):
    """Every so many rows since the last training, or since it was due the last time."""

    kind: ClassVar[str] = "rows"
    counts_rows: ClassVar[bool] = True

    every: int = Field(ge=1)
    """So many rows."""

    def occasions(self, seen: Seen) -> Sequence[Occasion]:
        """At most one: of several that have passed unseen only the last counts."""
        rows = seen.rows or 0
        answered = (name.partition(_OF) for name in seen.answered_of(self.kind))
        before = (int(row) for row, _, log in answered if log == seen.log)
        since = max((row for row in (seen.trained_row, *before) if row <= rows), default=0)
        due = since + (rows - since) // self.every * self.every
        return [Occasion(self.kind, f"{due}{_OF}{seen.log}" if seen.log else str(due))] if due > since else []
