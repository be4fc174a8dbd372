"""What can be the name of a pipeline or the number of a version: one rule for records, folders and commands."""

import re
from typing import Final

from freshet.contracts.errors import ContractError

PIPELINE_PATTERN: Final = r"^[a-z][a-z0-9-]*$"
PIPELINE_LENGTH: Final = 40
"""In characters."""
_PIPELINE: Final = re.compile(PIPELINE_PATTERN.rstrip("$"))
_VERSION: Final = re.compile(r"(0|[1-9][0-9]{0,17})(\.(0|[1-9][0-9]{0,17})){2}")
_TRAINING: Final = re.compile(r"[0-9a-f]{32}")


def pipeline_name(text: str) -> str:
    """The text, if it can name a pipeline. Raises ContractError with what can."""
    if len(text) > PIPELINE_LENGTH or not _PIPELINE.fullmatch(text):
        raise ContractError(
            f"{text!r:.80} cannot name a pipeline: use at most 40 small letters, digits and dashes, a letter first."
        )
    return text


def pipeline_names(text: str) -> list[str]:
    """The names of a list that is parted by commas, as commands take it. Raises ContractError."""
    return [pipeline_name(name) for part in text.split(",") if (name := part.strip())]


def version_number(text: str) -> str:
    """The text, if the registry may have given a version this number. Raises ContractError."""
    if not _VERSION.fullmatch(text):
        raise ContractError(
            f"{text!r:.80} is no version: those have three numbers, such as 1.4.0; `freshet model list` shows them."
        )
    return text


def is_training(text: str) -> bool:
    """Whether this is the id of a training, which no version looks like."""
    return _TRAINING.fullmatch(text) is not None


def noted(text: str) -> str:
    """The text, if a note may be about it: a version, or a training by its whole id. Raises ContractError."""
    return text if is_training(text) else version_number(text)
