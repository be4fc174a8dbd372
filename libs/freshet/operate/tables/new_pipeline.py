"""A pipeline's folder, begun from a table."""

import itertools
from pathlib import Path
from typing import Final, NamedTuple

from freshet.operate.tables.scaffold import Guess, infer_pipeline
from freshet.operate.tables.table import Table, dialect_attribute

_SAMPLE_ROWS: Final = 1_000_000
"""Rows of a table that decide what its columns are: all that a laptop's memory holds with ease."""


class Roles(NamedTuple):
    """The columns that are an event's entity, id and time, and how times are written; None leaves it to the guess."""

    entity: str | None = None
    event_id: str | None = None
    event_time: str | None = None
    time_format: str | None = None


def guess_from(table: Table, name: str, label: str, roles: Roles, now_ms: int) -> Guess:
    """Guess a pipeline from a table whose column `label` is to be predicted. Raises ContractError where that fails."""
    rows = [row.cells for row in itertools.islice(table, _SAMPLE_ROWS)]
    return infer_pipeline(
        name, table.titles, rows, label, **roles._asdict(), now_ms=now_ms, attributes=dialect_attribute(table)
    )


def files_of(folder: Path) -> tuple[Path, Path]:
    """The two files of a pipeline's folder."""
    return folder / "pipeline.yaml", folder / "event.avsc"


def write(folder: Path, guess: Guess) -> None:
    """Write both files, over those that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in zip(files_of(folder), guess[:2], strict=True):
        path.write_text(text, encoding="utf-8")
