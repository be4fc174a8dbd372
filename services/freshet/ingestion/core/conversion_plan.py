"""A pipeline record made ready to work: all that a batch needs, built once and replaced as a whole."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from freshet.avro.own_schemas import Schema
from freshet.contracts.errors import ContractError
from freshet.contracts.messages import PipelineRecord
from freshet.ingestion.core.decoder import EventDecoder
from freshet.ingestion.core.event_converter import EventConverter
from freshet.ingestion.core.label_converter import LabelConverter
from freshet.ingestion.core.record_converter import RecordConverter
from freshet.pipeline import PipelineError, PipelineSpec, check
from freshet.pipeline.catalogue import Catalogue

EVENTS, FEEDBACK = "events", "feedback"


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One number of a pipeline, with what answers each role that is read."""

    spec: PipelineSpec
    converters: Mapping[str, RecordConverter]


def build_plan(record: PipelineRecord, schemas: Mapping[int, Schema]) -> Plan:
    """The plan of a record; `schemas` are all event schemas of the pipeline so far, this record's among them.

    Raises ContractError if this version of Freshet cannot run it.
    """
    spec = PipelineSpec.parse(record.spec)
    schema = schemas[record.event_schema_id]
    problems = check(spec, schema)
    if problems:
        raise PipelineError(problems)
    decoder = _decoders().find(spec.decoder)(
        schemas, schema, max_bytes=spec.max_event_bytes, ignore_unknown=spec.unknown_fields == "ignore"
    )
    return Plan(spec, {EVENTS: EventConverter(spec, schema, decoder), FEEDBACK: LabelConverter(spec)})


def read_schema(record: PipelineRecord) -> Schema:
    """The event schema that a record carries; raises ContractError if it is no JSON object."""
    try:
        schema = json.loads(record.event_schema)
    except ValueError as error:
        raise ContractError(f"the event schema of pipeline {record.pipeline!r} is not JSON: {error}.") from error
    if not isinstance(schema, dict):
        raise ContractError(f"the event schema of pipeline {record.pipeline!r} is not a record.")
    return schema


@cache
def _decoders() -> Catalogue[EventDecoder]:
    return Catalogue(EventDecoder, "freshet.decoders")
