"""Reads a record of the labelled log."""

from typing import Final

from freshet.avro.control import decode
from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Outcomes

OUTCOMES: Final = "outcomes"


def outcomes_of(pipeline: str, offset: int, value: bytes | None) -> Outcomes:
    """The record. Raises ContractError, with its place, if it is none of this pipeline's labelled log."""
    record = None if value is None else decode(OUTCOMES, value)
    if not isinstance(record, Outcomes) or record.pipeline != pipeline:
        raise ContractError(
            f"the record at offset {offset} of the {OUTCOMES} of pipeline {pipeline!r} is none of it: a stranger wrote "
            "it, or it was damaged."
        )
    return record
