"""Control messages ↔ bytes: Confluent framing, one pydantic object per record."""

import io
import struct
from functools import cache
from typing import Any, Final

from fastavro import schemaless_reader, schemaless_writer
from fastavro.schema import parse_schema

from freshet.avro.own_schemas import is_newer, schema_by_id, schema_id
from freshet.contracts import evaluation_message, messages, profile_messages, state_messages, training_message
from freshet.contracts.errors import ContractError, FreshetError, NewerRecordError
from freshet.contracts.messages import Message

CONTROL_ROLES: Final[dict[str, type[Message]]] = {
    "pipelines": messages.PipelineRecord,
    "candidates": messages.Candidate,
    "models": messages.ModelVersion,
    "rollouts": messages.Rollout,
    "cutovers": messages.Cutover,
    "workers": messages.WorkerState,
    "commands": messages.Command,
    "decisions": messages.Decision,
    "outcomes": messages.Outcomes,
    "evaluations": evaluation_message.Evaluation,
    "alarms": messages.Alarm,
    "trainings": training_message.Training,
    "edges": profile_messages.Edges,
    "profiles": profile_messages.Frame,
    "checkpoints": state_messages.StateRecord,
    "slabs": state_messages.StateRecord,
}
"""Which message each control topic carries, each kind of state topic, the labelled log, and the profiles."""

_HEADER: Final = struct.Struct(">bI")


def encode(message: Message) -> bytes:
    """The framed Avro bytes of a control message."""
    identifier = schema_id(type(message).__name__)
    body = io.BytesIO()
    body.write(_HEADER.pack(0, identifier))
    schemaless_writer(body, _parsed(identifier), message.model_dump())
    return body.getvalue()


def decode(role: str, value: bytes) -> Message:
    """The message in a control record of that role.

    Raises ContractError on bytes that are not exactly one valid message: a stranger wrote them. NewerRecordError if
    they are framed as ours are, under a schema id that only a later release can have given out.
    """
    kind = CONTROL_ROLES[role.partition("/")[0]]
    try:
        magic, identifier = _HEADER.unpack_from(value)
        if magic == 0 and is_newer(identifier):
            raise NewerRecordError(
                f"a record on the {role} topic has schema id {identifier}, which this release does not know: a newer "
                "Freshet wrote it. Upgrade this process."
            )
        writer = schema_by_id(identifier)
        if magic != 0 or writer.record != kind.__name__:
            raise ContractError(f"it is framed as {writer.record} (magic byte {magic}).")
        body = io.BytesIO(value[_HEADER.size :])
        fields = schemaless_reader(body, _parsed(identifier), _parsed(schema_id(kind.__name__)))
        if body.tell() != len(value) - _HEADER.size:
            raise ContractError("bytes are left over after the record.")
        return kind.model_validate(fields)
    except NewerRecordError:
        raise
    except (FreshetError, ValueError, EOFError, struct.error, IndexError, OverflowError, TypeError, KeyError) as error:
        raise ContractError(f"a record on the {role} topic is not a valid {kind.__name__}: {error}") from error


@cache
def _parsed(identifier: int) -> Any:
    """A released schema as fastavro wants it: to parse one takes longer than to read a record."""
    return parse_schema(dict(schema_by_id(identifier).schema))
