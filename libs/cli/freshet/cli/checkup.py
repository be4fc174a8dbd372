"""The checks of `freshet doctor`: each says how something is and, where it is not well, what to do."""

import json
import os
import platform
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Literal

from freshet.cli.output import Connection
from freshet.contracts.errors import FreshetError
from freshet.contracts.messages import PipelineRecord
from freshet.contracts.pipeline import PipelineSpec
from freshet.contracts.position import Position, unstamped
from freshet.contracts.schema_records import missing, released_records
from freshet.contracts.topic_plan import topic_names
from freshet.runtime.bus import Bus, ExpiredError, Place, Send, Transaction
from freshet.runtime.kafka.releases import FAULT, REMEDY, cluster_verdict
from freshet.runtime.kafka.transactions import HangingTransaction, find_hanging
from freshet.runtime.provision import plan
from freshet.runtime.publishing import pipeline_records, published_schemas
from freshet.runtime.settings import BOOTSTRAP_VARIABLE

Health = Literal["ok", "warn", "bad"]

_PACKAGES: Final = ("freshet", "confluent-kafka", "fastavro", "numpy", "pydantic")
_EXTRAS: Final = {"onnxruntime": "inference", "onnx": "registry", "skl2onnx": "pack", "river": "demo"}
_READS: Final = (("ingestion", "events"), ("ingestion", "feedback"), ("inference", "features"))
_SECRET: Final = re.compile(r"password|secret|token|jaas|credential|\.key|key\.", re.IGNORECASE)
_READ_BACK_S: Final = 15.0
_COUNTED: Final = 1000


@dataclass(frozen=True, slots=True)
class Line:
    """One finding: what was looked at, how it is, what was seen, and what to do about it."""

    about: str
    health: Health
    seen: str
    do: str = ""


def installed() -> Iterator[Line]:
    """Versions of what runs, and which extras are there."""
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    yield Line("versions", "ok", f"Python {platform.python_version()}, {versions}")
    for package, extra in _EXTRAS.items():
        try:
            yield Line(f"extra {extra}", "ok", f"{package} {version(package)}")
        except PackageNotFoundError:
            yield Line(f"extra {extra}", "warn", f"{package} is not installed", f"pip install 'freshet[{extra}]'")


def settings(environ: Mapping[str, str] = os.environ) -> Iterator[Line]:
    """What the environment sets, secrets masked."""
    given = {
        name: value for name, value in environ.items() if name == BOOTSTRAP_VARIABLE or name.startswith("FRESHET_")
    }
    for name, value in sorted(given.items()):
        yield Line("setting", "ok", f"{name}={masked(name, value)}")
    if not given:
        yield Line("setting", "ok", "no variable is set; defaults and options hold")


def masked(name: str, value: str) -> str:
    """A setting's value as it may be shown: secrets, also those inside the JSON of FRESHET_KAFKA, as stars."""
    try:
        inner = json.loads(value)
    except ValueError:
        inner = None
    if isinstance(inner, dict):
        return json.dumps({key: "***" if _SECRET.search(key) else text for key, text in inner.items()})
    if _SECRET.search(name) or (name == "FRESHET_KAFKA" and _SECRET.search(value)):
        return "***"
    return value


def cluster(connection: Connection, *, deep: bool) -> Iterator[Line]:
    """Everything that can be said of a Kafka that answers; `deep` also commits a transaction and reads it back."""
    yield Line("kafka", "ok", f"{connection.bootstrap_servers} answers")
    records: dict[str, PipelineRecord] = {}
    try:
        records = pipeline_records(connection.bus())
    except FreshetError as error:
        yield Line("pipelines", "bad", str(error))
    for about, check in _CHECKS.items():
        try:
            if deep or about != "transactions":
                yield from check(connection, records)
        except FreshetError as error:
            yield Line(about, "bad", str(error))


Records = Mapping[str, PipelineRecord]


def _release(connection: Connection, records: Records) -> Iterator[Line]:  # noqa: ARG001
    verdict = cluster_verdict(connection.bootstrap_servers, connection.client)
    faulty = ", ".join(f"{broker} is a Kafka {line}" for broker, line in verdict.faulty.items())
    if faulty:
        yield Line("kafka release", "bad", f"{faulty} (the last digit is not told). {FAULT}", REMEDY)
    if verdict.untold:
        brokers = ", ".join(sorted(verdict.untold))
        seen = f"of {brokers} the release could not be told. {FAULT}"
        yield Line("kafka release", "warn", seen, f"look at it yourself; {REMEDY}")
    if not faulty and not verdict.untold:
        yield Line("kafka release", "ok", "no broker is one of those that lose transaction markers (4.3, 4.4)")


def _hanging(connection: Connection, records: Records) -> Iterator[Line]:
    topics = topic_names(connection.namespace, _counts(records))
    groups = [connection.names(pipeline).group(service) for pipeline in records for service, _ in _READS]
    found = find_hanging(connection.admin, topics, groups=groups)
    for one in found:
        yield hanging_line(one, time.time_ns() // 1_000_000)
    if not found:
        yield Line("open transactions", "ok", "none has been open for longer than any of ours may")


def hanging_line(one: HangingTransaction, now_ms: int) -> Line:
    """What to say of a transaction that has been open for too long."""
    since = "" if one.since_ms is None else f" for {max(0, now_ms - one.since_ms) // 1000:,} s"
    whose = "whose it is could not be told"
    if one.producer_id is not None:
        whose = f"transactional id {one.transactional_id or 'unknown'}, producer id {one.producer_id}"
    about = f"transaction in {one.topic}/{one.partition}"
    seen = f"open{since}: readers get no further than offset {one.last_stable_offset:,} of {one.end:,} ({whose})"
    if one.running:
        return Line(about, "warn", f"{seen}; Kafka ends it at its timeout", "end its producer, should that hang")
    known = "" if one.running is None else "; its coordinator has finished with it, so it never ends"
    return Line(about, "bad", f"{seen}{known}", "stop the services; docs/failures.md, 'A transaction that never ends'")


def _pipelines(connection: Connection, records: Records) -> Iterator[Line]:  # noqa: ARG001
    for name, record in sorted(records.items()):
        PipelineSpec.parse(record.spec)
        yield Line(f"pipeline {name}", "ok", f"number {record.number}, events framed with {record.event_schema_id}")
    if not records:
        yield Line("pipelines", "warn", "none is published", "freshet apply -f FOLDER")


def _topics(connection: Connection, records: Records) -> Iterator[Line]:
    steps = plan(connection.admin, connection.namespace, _counts(records))
    for step in steps:
        if step.action == "create":
            yield Line(f"topic {step.topic}", "bad", "is missing", "freshet topics apply")
        elif step.action == "alter":
            # with another policy records vanish that we need, or none ever do
            health: Health = "bad" if "cleanup.policy" in step.configs else "warn"
            seen = f"should have {step.details}; another program has changed it, or made it"
            yield Line(f"topic {step.topic}", health, seen, "freshet topics apply --adopt")
        elif step.action == "refuse":
            yield Line(f"topic {step.topic}", "bad", step.details)
    if all(step.action == "ok" for step in steps):
        yield Line("topics", "ok", f"all {len(steps)} are as they should be")


def _counts(records: Records) -> list[tuple[str, int]]:
    return [(name, PipelineSpec.parse(record.spec).partitions) for name, record in sorted(records.items())]


def _schemas(connection: Connection, records: Records) -> Iterator[Line]:
    there = published_schemas(connection.bus())
    wanted = released_records(connection.namespace, list(records))
    absent = missing(wanted, there)
    if absent:
        seen = f"{len(absent)} of {len(wanted)} are not published, such as id {absent[0].id} of {absent[0].subject}"
        yield Line("schemas", "warn", f"{seen}: consoles cannot decode those topics", "freshet schemas publish")
    else:
        yield Line("schemas", "ok", f"all {len(wanted)} are published, and {len(there)} records are on the topic")


def _groups(connection: Connection, records: Records) -> Iterator[Line]:
    for pipeline in sorted(records):
        for service, role in _READS:
            yield _group(connection, pipeline, service, role)


def _group(connection: Connection, pipeline: str, service: str, role: str) -> Line:
    names = connection.names(pipeline)
    about = f"group {names.group(service)}"
    ends = connection.admin.end_offsets(names.topic(role))
    committed = connection.admin.committed(names.group(service), names.topic(role))
    if not committed:
        run = f"freshet run {service} --pipelines {pipeline}"
        return Line(about, "warn", f"has never committed on {role}", run)
    now = connection.bus(pipeline).topic_id(role)
    if any(topic_id not in ("", now) for topic_id in (unstamped(one.metadata)[1] for one in committed.values())):
        seen = (
            f"its offsets on {role} are of an earlier topic of that name: this one was made anew, and is read from its"
        )
        return Line(about, "warn", f"{seen} start", f"freshet run {service} --pipelines {pipeline}, unless it runs")
    behind, exact = _behind(connection.bus(pipeline), role, {at: one.offset for at, one in committed.items()}, ends)
    strange = [f"{at}: {one.metadata!r}" for at, one in committed.items() if not _understood(service, one.metadata)]
    if strange:
        seen = f"its offsets on {role} carry no position in history ({strange[0]}): another program has written them"
        return Line(about, "bad", seen, "stop that program; do not start inference before you know what it did")
    never = len(ends) - len(committed)
    seen = f"{'' if exact else 'at most '}{behind:,} records behind on {role}"
    return Line(about, "ok", seen + (f"; {never} partitions never read" if never else ""))


def _behind(bus: Bus, role: str, committed: Mapping[int, int], ends: Mapping[int, int]) -> tuple[int, bool]:
    """How many records a group has not read, and whether that is exact.

    Each transaction leaves a marker behind its records, which no group commits past: a short rest is read, to count
    what there is for a reader.
    """
    rest = {at: ends[at] - offset for at, offset in committed.items() if ends.get(at, 0) > offset}
    total = sum(rest.values())
    if not 0 < total <= _COUNTED:
        return total, not total
    reader = bus.reader([role], {Place(role, at): committed[at] for at in rest})
    seen, deadline = 0, time.monotonic() + _READ_BACK_S
    try:
        while time.monotonic() < deadline:
            seen += sum(len(batch.keys) for batch in reader.read(_COUNTED, 0.5))
            if reader.caught_up():
                return seen, True
    except ExpiredError:
        pass  # some of it is gone: what is left is less than the rest
    finally:
        reader.close()
    return total, False


def _understood(service: str, metadata: str) -> bool:
    if service != "inference":
        return True
    try:
        Position.parse(unstamped(metadata)[0])
    except FreshetError:
        return False
    return True


def _transaction(connection: Connection, records: Records) -> Iterator[Line]:  # noqa: ARG001
    """A tombstone of a key that never had a value: visible to a reader, and nothing to anybody else."""
    bus, key = connection.bus(), f"doctor/{uuid.uuid4()}".encode()
    starts = {Place("artifacts", at): span.end for at, span in bus.spans("artifacts").items()}
    producer = bus.transactional_producer("cli", "doctor")
    try:
        producer.open()
        producer.commit(Transaction([Send("artifacts", [key], [None])]))
    finally:
        producer.close()
    reader = bus.reader(["artifacts"], starts)
    deadline = time.monotonic() + _READ_BACK_S
    try:
        while time.monotonic() < deadline:
            if any(key in batch.keys for batch in reader.read(100, 0.5)):
                yield Line("transactions", "ok", "one was committed and read back as committed")
                return
    finally:
        reader.close()
    yield Line(
        "transactions",
        "bad",
        f"one was committed, but not to be read within {_READ_BACK_S:.0f} s: its marker was not written",
        "look for its coordinator's errors in the broker's log; is the certificate valid for its own address?",
    )


_CHECKS: Final = {
    "kafka release": _release,
    "pipelines": _pipelines,
    "topics": _topics,
    "schemas": _schemas,
    "groups": _groups,
    "open transactions": _hanging,
    "transactions": _transaction,
}
