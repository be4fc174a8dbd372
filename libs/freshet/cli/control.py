"""What the control topics say now."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from freshet.avro.schemas import Schema
from freshet.contracts.errors import ContractError
from freshet.contracts.logic import Fact
from freshet.contracts.messages import Message, PipelineRecord
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.protocol import Bus, RetriableError
from freshet.runtime.feed import Feed
from freshet.runtime.publishing import pipeline_records

M = TypeVar("M", bound=Message)

_PATIENCE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Newest(Generic[M]):
    """The newest record of a key, and when and where it was written."""

    message: M
    timestamp_ms: int
    offset: int


@dataclass(frozen=True, slots=True)
class Published:
    """A pipeline as it was last applied."""

    record: PipelineRecord
    spec: PipelineSpec
    schema: Schema


def read(bus: Bus, *roles: str) -> list[Fact]:
    """All that these control topics hold now, each in its order. Raises RetriableError if the broker falls silent."""
    feed = Feed(bus.reader(roles))
    facts: list[Fact] = []
    deadline = time.monotonic() + _PATIENCE_S
    try:
        while not feed.caught_up():
            more = list(feed.facts(timeout_s=1.0))
            deadline = time.monotonic() + _PATIENCE_S if more else deadline
            if time.monotonic() > deadline:
                raise RetriableError(f"the {', '.join(roles)} topics gave nothing for {_PATIENCE_S:.0f} s.")
            facts += more
        return facts
    finally:
        feed.close()


def newest(facts: Iterable[Fact], kind: type[M]) -> dict[str, Newest[M]]:
    """The newest record of that kind by key; keys whose newest record is a tombstone are left out."""
    found: dict[tuple[str, str], Newest[M] | None] = {}
    for fact in facts:
        at = (fact.role, fact.key)
        if isinstance(fact.message, kind):
            found[at] = Newest(fact.message, fact.timestamp_ms, fact.offset)
        elif fact.message is None:
            found[at] = None
    return {key: one for (_, key), one in found.items() if one is not None}


def published(bus: Bus, pipeline: str) -> Published:
    """The pipeline's newest specification; raises ContractError, naming those there are, if it was never applied."""
    records = pipeline_records(bus)
    if pipeline not in records:
        known = f"known are {', '.join(sorted(records))}" if records else "none was ever applied here"
        raise ContractError(
            f"no pipeline {pipeline!r} is on this Kafka ({known}). Publish it with `freshet apply -f FOLDER`, or look "
            "at the namespace."
        )
    record = records[pipeline]
    return Published(record, PipelineSpec.parse(record.spec), json.loads(record.event_schema))
