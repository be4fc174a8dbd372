"""The next record of a pipeline: what `freshet apply` publishes, or why it refuses to."""

import json
from collections.abc import Iterable, Sequence

from freshet.avro.compatibility import incompatibilities
from freshet.avro.own_schemas import Schema, event_schema_id
from freshet.contracts.errors import ContractError
from freshet.contracts.messages import PipelineRecord
from freshet.pipeline import PipelineError, PipelineSpec, compare


class PipelineConflictError(ContractError):
    """A pipeline that must not replace the published one; `reasons` holds a sentence each."""

    def __init__(self, pipeline: str, number: int, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        listed = "\n".join(f"  - {reason}" for reason in reasons)
        super().__init__(
            f"pipeline {pipeline} is published as number {number}, and this one must not replace it:\n{listed}"
        )


def next_record(
    previous: PipelineRecord | None,
    spec: PipelineSpec,
    text: str,
    event_schema: Schema,
    earlier: Iterable[Schema] = (),
    *,
    life: str = "",
) -> PipelineRecord:
    """The record that follows `previous`, or `previous` itself if nothing has changed but comments and layout.

    `life` names the pipeline's life if this is its first record: a text that was never used before.
    `earlier` are the event schemas published so far: producers and retained events may still use any of them. Raises
    PipelineConflictError with every reason, and ContractError if the published specification cannot be read here.
    """
    record = PipelineRecord(
        pipeline=spec.pipeline,
        number=1 if previous is None else previous.number + 1,
        spec=text,
        event_schema=json.dumps(event_schema, separators=(",", ":"), ensure_ascii=False),
        event_schema_id=event_schema_id(event_schema),
        life=life if previous is None else previous.life,
    )
    if previous is None:
        return record
    old = _published(previous)
    if old == spec and json.loads(previous.event_schema) == event_schema:
        return previous
    reasons = compare(old, spec)
    for schema in _distinct([json.loads(previous.event_schema), *earlier]):
        reasons += [f"event.avsc: {reason}" for reason in incompatibilities(event_schema, schema)]
    if reasons:
        raise PipelineConflictError(spec.pipeline, previous.number, list(dict.fromkeys(reasons)))
    return record


def _published(record: PipelineRecord) -> PipelineSpec:
    try:
        return PipelineSpec.parse(record.spec)
    except PipelineError as error:
        raise ContractError(
            f"number {record.number} of pipeline {record.pipeline}, as published, cannot be read here: {error}\nIt may "
            "use a part that is not installed, or a newer Freshet. Install what it needs, then apply again."
        ) from error


def _distinct(schemas: Iterable[Schema]) -> list[Schema]:
    found: list[Schema] = []
    for schema in schemas:
        if schema not in found:
            found.append(schema)
    return found
