"""How quality that was estimated without labels is shown, by whichever command tells it."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from freshet.cli.output import filled_table
from freshet.operate.quality.estimated import NOTE, TITLES, Estimate, estimate_rows


def estimate_parts(by_time: Sequence[tuple[str, Sequence[Estimate]]]) -> list[RenderableType]:
    """A note and a table for each stretch of time, under its name if it has one; nothing where nothing is estimated."""
    parts: list[RenderableType] = []
    for name, found in by_time:
        if found:
            parts += [f"{name}:"] if name else []
            parts.append(filled_table(TITLES, estimate_rows(found)))
    return [Text(NOTE), *parts] if parts else []
