"""What retraining tells of each training, and the command that only asks what it would do."""

from typing import Final, Literal

from freshet.contracts.messages import Command, Message

DRY_RUN: Final = "dry run"
"""The text of a command to retrain that only asks what would be done."""


def is_dry_run(command: Command) -> bool:
    """Whether a command to retrain only asks what would be done."""
    return command.action == "retrain" and command.text == DRY_RUN


class Training(Message):
    """One step of a training: that it began and on which rows, how it ended, or why a trigger led to none.

    Rows are numbered as the labelled log holds them. What has no value yet is empty or 0.
    """

    pipeline: str
    training: str
    phase: Literal["started", "finished", "failed", "skipped"]
    trigger: str
    trigger_id: str
    reason: str
    specification: int
    trainer: str
    params: dict[str, str]
    seed: int
    code: str
    environment: str
    from_row: int
    cut_row: int
    end_row: int
    through: int
    trained_through_ms: int
    rows: int
    holdout_rows: int
    classes: dict[str, int]
    data_digest: str
    digest: str
    champion: str
    metrics: dict[str, float]
    gate: Literal["pass", "fail", "none"]
    clauses: tuple[str, ...]
    cpu_ms: int
    at_ms: int
    by: str
