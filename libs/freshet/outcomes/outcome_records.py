"""Reads records of the labelled log."""

from functools import partial
from typing import Final, NamedTuple

from freshet.avro.control import decode
from freshet.avro.rows import RefusedRow, own_records
from freshet.contracts.batch import Batch
from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Outcomes
from freshet.outcomes.outcome_rows import check_columns

OUTCOMES: Final = "outcomes"


class LoggedRecords(NamedTuple):
    """The records of a batch, each with its row in it, and the rows that are none."""

    records: list[tuple[int, Outcomes]]
    refused: list[RefusedRow]


def records_of(pipeline: str, batch: Batch) -> LoggedRecords:
    """Tell this pipeline's labelled log from what strangers wrote to its topic.

    What is no record may be passed over: each record says how many rows of its partition lie before it, so that one of
    ours that was damaged or lost shows with the next. Raises NewerRecordError at one of a later release.
    """
    return LoggedRecords(*own_records(OUTCOMES, pipeline, batch, partial(outcomes_of, pipeline)))


def outcomes_of(pipeline: str, value: bytes | None) -> Outcomes:
    """The record. Raises ContractError if it is none of this pipeline's labelled log."""
    if value is None:
        raise ContractError("the record is empty: a stranger wrote it.")
    record = decode(OUTCOMES, value)
    if not isinstance(record, Outcomes) or record.pipeline != pipeline:
        raise ContractError(f"the record is none of pipeline {pipeline!r}: a stranger wrote it.")
    check_columns(record)
    return record
