"""The checks of `freshet doctor`: each says how something is and, where it is not well, what to do."""

import json
import os
import platform
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from freshet.avro.schema_records import missing, released_records
from freshet.contracts.errors import ContractError, FreshetError
from freshet.contracts.messages import PipelineRecord
from freshet.operate.attendance import (
    group_lines,
    judging_lines,
    retraining_lines,
    service_line,
    waiting_lines,
    warning_lines,
)
from freshet.operate.connection import Connection
from freshet.operate.facts import read
from freshet.operate.finding import Health, Line
from freshet.operate.lag.lag_rows import ANSWERING
from freshet.operate.presence import judging, presence
from freshet.operate.roll_call import roll_call
from freshet.operate.signed_answers import ROLES, demanding, signature_lines
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.kafka.releases import FAULT, REMEDY, UNTOLD, cluster_verdict
from freshet.runtime.bus.kafka.transactions import HangingTransaction, find_hanging
from freshet.runtime.bus.protocol import Place, Send, Transaction
from freshet.runtime.provision import plan
from freshet.runtime.publishing import all_pipeline_records, newest, published_schemas, readable_pipeline_records
from freshet.runtime.secret_files import names_a_file
from freshet.runtime.settings import BOOTSTRAP_VARIABLE
from freshet.runtime.topic_plan import lacking, topic_names

if TYPE_CHECKING:  # it needs an extra
    from freshet.trust.trusted_keys import TrustedKeys

_PACKAGES: Final = ("freshet", "confluent-kafka", "fastavro", "numpy", "pydantic")
_EXTRAS: Final = {
    "onnxruntime": "inference",
    "onnx": "registry",
    "skl2onnx": "pack",
    "river": "drift",
    "pyarrow": "tables",
}
_SECRET: Final = re.compile(r"password|secret|token|jaas|credential|\.key|key\.", re.IGNORECASE)
_READ_BACK_S: Final = 15.0


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
        return json.dumps({key: _masked(key, text) for key, text in inner.items()})
    if _SECRET.search(name) or (name == "FRESHET_KAFKA" and _SECRET.search(value)):
        return "***"
    return value


def _masked(key: str, value: object) -> object:
    return "***" if _SECRET.search(key) and not names_a_file(key, str(value)) else value


def cluster(connection: Connection, *, deep: bool, keys: "TrustedKeys | None" = None) -> Iterator[Line]:
    """Everything that can be said of a Kafka that answers; `deep` also commits a transaction and reads it back.

    By these keys it judges what answers pipelines that demand signatures.
    """
    yield Line("kafka", "ok", f"{connection.bootstrap_servers} answers")
    records: dict[str, PipelineRecord] = {}
    try:
        records = newest(readable_pipeline_records(connection.bus()))
        all_pipeline_records(connection.bus())
    except FreshetError as error:
        yield Line("pipelines", "bad", str(error))
    checks: Mapping[str, _Check] = {**_CHECKS, "signatures": partial(_signatures, keys=keys)}
    for about, check in checks.items():
        try:
            if deep or about != "transactions":
                yield from check(connection, records)
        except FreshetError as error:
            yield Line(about, "bad", str(error))


Records = Mapping[str, PipelineRecord]
_Check = Callable[[Connection, Records], Iterator[Line]]


def _release(connection: Connection, records: Records) -> Iterator[Line]:  # noqa: ARG001
    verdict = cluster_verdict(connection.bootstrap_servers, connection.client)
    faulty = ", ".join(f"{broker} is a Kafka {line}" for broker, line in verdict.faulty.items())
    if faulty:
        yield Line("kafka release", "bad", f"{faulty} (the last digit is not told). {FAULT}", REMEDY)
    if verdict.untold:
        brokers = ", ".join(sorted(verdict.untold))
        seen = f"{brokers}: {UNTOLD}. {FAULT}"
        yield Line("kafka release", "warn", seen, f"look at it yourself; {REMEDY}")
    if not faulty and not verdict.untold:
        yield Line("kafka release", "ok", "no broker is one of those that lose transaction markers (4.3, 4.4)")


def _hanging(connection: Connection, records: Records) -> Iterator[Line]:
    topics = topic_names(connection.namespace, _counts(records))
    groups = [connection.names(pipeline).group(service) for pipeline in records for service, _ in ANSWERING]
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
        try:
            PipelineSpec.parse(record.spec)
        except ContractError as error:
            yield Line(f"pipeline {name}", "bad", f"number {record.number} cannot be read here: {error}")
        else:
            framed = f"number {record.number}, events framed with {record.event_schema_id}"
            yield Line(f"pipeline {name}", "ok", framed)
    if not records:
        yield Line("pipelines", "warn", "none is published", "freshet apply -f FOLDER")


def _topics(connection: Connection, records: Records) -> Iterator[Line]:
    steps = plan(connection.admin, connection.namespace, _counts(records))
    if all(step.action == "create" for step in steps):
        yield Line("topics", "warn", "there are none yet: nothing was ever applied here", "freshet apply -f FOLDER")
        return
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
    if short := lacking(steps):
        yield Line("topics", "warn", short, "freshet topics apply --adopt, should the cluster take them")
    if all(step.action == "ok" for step in steps):
        yield Line("topics", "ok", f"all {len(steps)} are as they should be")


def _counts(records: Records) -> list[tuple[str, int]]:
    return [(name, spec.partitions) for name, spec in _specifications(records).items()]


def _specifications(records: Records) -> dict[str, PipelineSpec]:
    """Those that can be read here; the line of its pipeline tells of any other."""
    found = {}
    for name, record in sorted(records.items()):
        with suppress(ContractError):
            found[name] = PipelineSpec.parse(record.spec)
    return found


def _schemas(connection: Connection, records: Records) -> Iterator[Line]:
    there = published_schemas(connection.bus())
    wanted = released_records(connection.namespace, list(records))
    absent = missing(wanted, there)
    if absent:
        seen = f"{len(absent)} of {len(wanted)} are not published, such as id {absent[0].id} of {absent[0].subject}"
        yield Line("schemas", "warn", f"{seen}: consoles cannot decode those topics", "freshet schemas publish")
    else:
        yield Line("schemas", "ok", f"all {len(wanted)} are published, and {len(there)} records are on the topic")


def _services(connection: Connection, records: Records) -> Iterator[Line]:
    called = roll_call(connection.bus(), say=connection.say)
    if records:
        registry = presence(called.ledger, "registry", "", called.now_ms)
        yield from (service_line(registry), *waiting_lines(registry))
        waiting = [name for name, spec in _specifications(records).items() if spec.retraining.triggers]
        yield from retraining_lines(presence(called.ledger, "retraining", "", called.now_ms), waiting)
    for pipeline in sorted(records):
        present = {
            service: presence(called.ledger, service, pipeline, called.now_ms) for service in ("ingestion", "inference")
        }
        yield from map(service_line, present.values())
        yield from warning_lines(called.ledger.of(pipeline))
        yield from judging_lines(judging(called.ledger, pipeline, called.now_ms))
        yield from group_lines(connection, pipeline, present)


def _signatures(connection: Connection, records: Records, keys: "TrustedKeys | None") -> Iterator[Line]:
    if names := demanding(_specifications(records), keys):
        facts = read(connection.bus(), *ROLES)
        for name in names:
            yield from signature_lines(records[name], facts, keys)


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
    "services": _services,
    "open transactions": _hanging,
    "transactions": _transaction,
}
