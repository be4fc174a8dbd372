"""What the control topics say now."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from freshet.avro.own_schemas import Schema
from freshet.contracts.errors import ContractError
from freshet.contracts.logic import Fact
from freshet.contracts.messages import PipelineRecord
from freshet.ledger.ledger import Ledger
from freshet.operate.connection import Connection, address
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.protocol import Bus, RetriableError
from freshet.runtime.feed import Feed
from freshet.runtime.publishing import readable_pipeline_records

_PATIENCE_S: Final = 30.0
_AGAIN_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Published:
    """A pipeline as it was last applied."""

    record: PipelineRecord
    spec: PipelineSpec
    schema: Schema


def not_there(pipeline: str, known: Iterable[str], bootstrap_servers: str, namespace: str) -> str:
    """Sentences about a pipeline that was never applied: where it was looked for, what is there, and what to do."""
    names = ", ".join(sorted(known))
    prefix = f", under the prefix {namespace!r}" if namespace else ""
    return (
        f"no pipeline {pipeline!r} is on the Kafka at {address(bootstrap_servers)}{prefix} "
        f"({f'known are {names}' if names else 'none was ever applied there'}). Publish it with "
        "`freshet apply -f FOLDER`; or ask where it is: another folder's broker, another Kafka, another --namespace."
    )


def read(bus: Bus, *roles: str) -> list[Fact]:
    """All that these control topics hold now, each in its order. Raises RetriableError if the broker falls silent."""
    feed = Feed(bus.reader(roles))
    try:
        return drained(feed)
    finally:
        feed.close()


def drained(feed: Feed) -> list[Fact]:
    """All that a feed has until it is caught up; an error that passes is waited out.

    Raises RetriableError if the broker gives nothing else for half a minute.
    """
    facts: list[Fact] = []
    deadline, why = time.monotonic() + _PATIENCE_S, "."
    while not feed.caught_up():
        try:
            more = list(feed.facts(timeout_s=1.0))
        except RetriableError as error:
            more, why = [], f": {error}"
            time.sleep(_AGAIN_S)
        if more:
            deadline, why = time.monotonic() + _PATIENCE_S, "."
        if time.monotonic() > deadline:
            raise RetriableError(f"the control topics gave nothing for {_PATIENCE_S:.0f} s{why}")
        facts += more
    return facts


def ledger_of(bus: Bus, *roles: str) -> Ledger:
    """What these control topics say now, of all pipelines. Raises RetriableError if the broker falls silent."""
    return Ledger(read(bus, *roles))


def published(connection: Connection, pipeline: str, number: int | None = None) -> Published:
    """The pipeline's newest specification, or that of a number.

    Raises ContractError, naming those there are, if it was never applied, or has no such number.
    """
    records = readable_pipeline_records(connection.bus(), pipeline)
    ours = {record.number: record for record in records if record.pipeline == pipeline}
    if not ours:
        known = {record.pipeline for record in records}
        raise ContractError(not_there(pipeline, known, connection.bootstrap_servers, connection.namespace))
    if number is not None and number not in ours:
        raise ContractError(
            f"pipeline {pipeline!r} has no specification of number {number}: there are {', '.join(map(str, ours))}."
        )
    record = ours[max(ours) if number is None else number]
    return Published(record, PipelineSpec.parse(record.spec), json.loads(record.event_schema))
