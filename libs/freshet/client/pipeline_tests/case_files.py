"""The files in which a user writes tests of a pipeline: `tests/*.yaml` in its folder."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from freshet.operate.operate_error import OperateError

FOLDER: Final = "tests"


class _Entry(BaseModel):
    """A misspelt key is an error: else a test would pass because nobody looked."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class EventCase(_Entry):
    """A sample event, and what must become of it."""

    name: str
    event: dict[str, Any] = Field(default_factory=dict)
    """Fields by name. The id and the time may be left out, and what may be null."""
    value: str | None = None
    """Instead of `event`: the record's bytes as text, for what no serializer of the schema would write."""
    arrived_at: datetime | None = None
    """When the broker got it, UTC if it names no zone; by default at the event's own time."""
    features: dict[str, float | None] | None = None
    """What some features must be, by name; null for no value."""
    dead_letter: str = ""
    """The reason for which it must be set aside, instead."""
    because: str = ""
    """A part of the sentence that the dead letter must say."""

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        if (self.features is None) == (not self.dead_letter):
            raise ValueError("give either features or dead_letter")
        if bool(self.event) == (self.value is not None):
            raise ValueError("give either event or value")
        return self


class ModelCase(_Entry):
    """A packed model, recorded rows of the labelled log, and what the model must be worth on them."""

    name: str
    bundle: str
    """Folder that `freshet model pack` wrote, from the test file's folder."""
    rows: str
    """Parquet file that `freshet topic export --role outcomes` wrote, from there too."""
    at_least: dict[str, float] = Field(default_factory=dict)
    """Metrics that must not be lower: accuracy, macro_f1, auc, r2, …"""
    at_most: dict[str, float] = Field(default_factory=dict)
    """Metrics that must not be higher: log_loss, mae, …"""
    scores_differ_at_most: float | None = Field(default=None, ge=0)
    """How far any score may lie from the recorded one: for a model that must answer as the one that was served."""
    answers_differ_at_most: float | None = Field(default=None, ge=0, le=1)
    """Share of the rows whose answered class may be another than the recorded one."""


class Cases(_Entry):
    """One file."""

    events: tuple[EventCase, ...] = ()
    models: tuple[ModelCase, ...] = ()


def read_cases(folder: Path) -> Mapping[Path, Cases]:
    """The test files of a pipeline's folder, by path; raises OperateError with file and key."""
    files = sorted((folder / FOLDER).glob("*.yaml"))
    if not files:
        raise OperateError(
            f"{folder / FOLDER} holds no test: `freshet test pipeline {folder} --example` begins one.",
            "usage",
        )
    return {file: _read(file) for file in files}


def _read(file: Path) -> Cases:
    try:
        return Cases.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise OperateError(f"{file} is not a test file: {told}. docs/testing.md has the format.", "usage") from error
    except (OSError, yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, or a date that does not exist
        raise OperateError(f"{file} cannot be read as YAML: {error}", "usage") from error
