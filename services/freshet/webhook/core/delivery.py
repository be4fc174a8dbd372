"""What is sent for a record: the same id and the same bytes at each try."""

import base64
import json
from dataclasses import dataclass
from typing import Any, Final

from freshet.avro.control import decode
from freshet.contracts.errors import ContractError, NewerRecordError

KINDS: Final = ("decisions", "alarms", "trainings")
"""Roles of the topics whose records may be sent."""


@dataclass(frozen=True, slots=True)
class RecordPlace:
    """Where a record lies, and when it was written."""

    kind: str
    topic: str
    partition: int
    offset: int
    written_ms: int

    @property
    def id(self) -> str:
        """The id of its delivery, whoever sends it and however often."""
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One record, ready to be sent."""

    source: RecordPlace
    pipeline: str
    body: bytes
    """JSON in UTF-8; empty if the record cannot be read."""
    unreadable: str = ""
    """Why it can never be sent; empty if it can."""
    value: bytes = b""
    """The bytes of a record that cannot be read."""
    newer: bool = False
    """Whether a newer release can read it: then it must not be given up."""


def delivery_of(source: RecordPlace, value: bytes | None) -> Delivery:
    """What is sent for it, or why it cannot be."""
    try:
        message: Any = decode(source.kind, value or b"")
    except ContractError as error:
        return Delivery(source, "", b"", str(error), value or b"", isinstance(error, NewerRecordError))
    told = {
        "id": source.id,
        "kind": source.kind,
        "pipeline": message.pipeline,
        "written_ms": source.written_ms,
        "record": message.model_dump(mode="json"),
    }
    return Delivery(source, message.pipeline, json.dumps(told, ensure_ascii=False, allow_nan=False).encode())


def is_wanted(delivery: Delivery, pipelines: frozenset[str]) -> bool:
    """Whether it is about one of these pipelines; all are wanted if none is named. What is unreadable always is."""
    return not pipelines or bool(delivery.unreadable) or delivery.pipeline in pipelines


def letter(delivery: Delivery, reason: str, tries: int, given_up_ms: int) -> bytes:
    """The line of the dead-letter file for a record that was not taken. `body` is exactly what was sent."""
    found = {
        "id": delivery.source.id,
        "kind": delivery.source.kind,
        "pipeline": delivery.pipeline,
        "reason": reason,
        "tries": tries,
        "given_up_ms": given_up_ms,
        "body": delivery.body.decode(),
    }
    if delivery.unreadable:
        found["value_base64"] = base64.b64encode(delivery.value).decode()
    return json.dumps(found, ensure_ascii=False).encode() + b"\n"
