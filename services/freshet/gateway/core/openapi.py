"""The OpenAPI document: for each pipeline, what an event holds and what comes back."""

from collections.abc import Mapping
from typing import Any, Final

from freshet.avro.event_fields import EventField
from freshet.gateway.core.limits import BODY_BYTES, ROWS, WAIT_MS
from freshet.pipeline import PipelineSpec

_TYPES: Final[Mapping[str, Mapping[str, Any]]] = {
    "integer": {"type": "integer"},
    "float": {"type": "number"},
    "boolean": {"type": "boolean"},
    "text": {"type": "string"},
    "time": {"oneOf": [{"type": "string", "format": "date-time"}, {"type": "integer"}]},
    "other": {},
}
_REFUSALS: Final = {
    "400": "A field, a value or the body is wrong; nothing was written.",
    "401": "The token is missing or wrong.",
    "404": "There is no such pipeline.",
    "408": "The body did not come in time; nothing was written.",
    "409": "Events of this pipeline can be written only by whoever wrote its decoder.",
    "413": "The body or an event is too large; nothing was written.",
    "415": "The body is not announced as JSON.",
    "429": "Too many requests are in flight; nothing was written. Retry-After says when to try again.",
    "503": "Kafka has not acknowledged it.",
}
_STRING: Final = {"type": "string"}
_INTEGER: Final = {"type": "integer"}


def openapi(pipelines: Mapping[str, tuple[PipelineSpec, Mapping[str, EventField]]]) -> dict[str, Any]:
    """For the pipelines by name."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {"Refused": _refused(), "DeadLetter": _object(_LETTER), "Label": _label()}
    for name, (spec, fields) in sorted(pipelines.items()):
        schemas[f"{name}.Event"] = _event(spec, fields)
        schemas[f"{name}.Prediction"] = _prediction(spec)
        schemas[f"{name}.Position"] = _position(name)
        paths[f"/pipelines/{name}/events"] = {
            "post": _post(name, f"{name}.Event", f"Send events to {name}", waits=True)
        }
        paths[f"/pipelines/{name}/labels"] = {"post": _post(name, "Label", f"Say what is true for events of {name}")}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Freshet gateway",
            "version": "1",
            "description": "Events and labels in, predictions out. Predictions as they come: a WebSocket at "
            "/pipelines/{pipeline}/predictions/tail, one JSON object a message.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


_LETTER: Final = {
    "reason": _STRING,
    "detail": _STRING,
    "service": _STRING,
    "partition": _INTEGER,
    "offset": _INTEGER,
}


def _post(pipeline: str, of: str, summary: str, *, waits: bool = False) -> dict[str, Any]:
    position = _ref(f"{pipeline}.Position")
    answers = {
        "202": _content("Kafka has acknowledged it. Its answer, if any, is still to come.", _one_or_many(position))
    }
    if waits:
        answers["200"] = _content("Every event has its prediction or its dead letter.", _one_or_many(position))
    refusals = {status: _content(why, _ref("Refused")) for status, why in _REFUSALS.items()}
    wait = {
        "name": "wait",
        "in": "query",
        "description": "Milliseconds to wait for the predictions. The answer is 202 if they do not come in time.",
        "schema": {"type": "integer", "minimum": 0, "maximum": WAIT_MS},
    }
    body = _content(f"At most {BODY_BYTES:,} bytes and {ROWS:,} objects.", _one_or_many(_ref(of)))
    return {
        "summary": summary,
        "parameters": [wait] if waits else [],
        "requestBody": body | {"required": True},
        "responses": dict(sorted((answers | refusals).items())),
    }


def _event(spec: PipelineSpec, fields: Mapping[str, EventField]) -> dict[str, Any]:
    """Fields of a nested record are named `outer.inner`, as they may be sent."""
    made = {spec.event_time, *([spec.event_id] if fields[spec.event_id].kind == "text" else [])}
    required = [name for name, field in fields.items() if not field.nullable and name not in made]
    properties = {name: _field(field, is_time=name == spec.event_time) for name, field in fields.items()}
    about = (
        f"Left out, {spec.event_id} is made up and {spec.event_time} is now. Fields with a default in the schema "
        "of events may be left out as well."
    )
    return _object(properties) | {"required": required, "description": about}


def _field(field: EventField, *, is_time: bool) -> dict[str, Any]:
    if field.kind == "enum":
        return {"enum": [*field.symbols, *([None] if field.nullable else [])]}
    found = dict(_TYPES["time" if is_time else field.kind])
    return {"oneOf": [found, {"type": "null"}]} if field.nullable and found else found


def _prediction(spec: PipelineSpec) -> dict[str, Any]:
    classes = spec.target.classes
    said: dict[str, Any] = {"value": {"type": ["number", "null"]}}
    if classes:
        scores = _object({name: {"type": ["number", "null"]} for name in classes})
        said = {"label": {"enum": list(classes)}, "scores": scores}
    return _object(
        {
            "event_id": _STRING,
            "entity": _STRING,
            **said,
            "version": _STRING,
            "epoch": _INTEGER,
            "fallback": {"type": "boolean"},
            "answered_at": {"type": "string", "format": "date-time"},
            "partition": _INTEGER,
            "offset": _INTEGER,
        }
    )


def _position(pipeline: str) -> dict[str, Any]:
    found = {"id": _STRING, "topic": _STRING, "partition": _INTEGER, "offset": _INTEGER}
    answers = {"prediction": _ref(f"{pipeline}.Prediction"), "dead_letter": _ref("DeadLetter")}
    return _object(found | answers) | {"required": list(found)}


def _label() -> dict[str, Any]:
    fields = {
        "event_id": _STRING,
        "entity": _STRING,
        "label": _STRING,
        "labelled_at": _TYPES["time"],
        "revision": _INTEGER,
    }
    return _object(fields) | {"required": ["event_id", "entity", "label"]}


def _refused() -> dict[str, Any]:
    fields = {
        "error": _STRING,
        "why": _STRING,
        "field": {"type": ["string", "null"]},
        "row": {"type": ["integer", "null"]},
    }
    return _object(fields) | {"required": ["error", "why"]}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties)}


def _one_or_many(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"oneOf": [schema, {"type": "array", "items": schema}]}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _content(description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
