"""What Freshet needs of a Kafka: each need is told here once, and tried by `freshet doctor --requirements`."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Final

from freshet.contracts.errors import FreshetError
from freshet.contracts.topic_table import topic_table
from freshet.models.artifact import CHUNK_BYTES
from freshet.operate.cluster_trial import KEY, SERVICE, WITHIN_S, Trial, UnmetError, joined
from freshet.operate.connection import Connection
from freshet.operate.deletion import delete_namespace
from freshet.operate.finding import Line
from freshet.runtime.bus.kafka.releases import FAULT, UNTOLD, cluster_verdict
from freshet.runtime.bus.protocol import RefusedError
from freshet.runtime.dead_letter_records import CAP_BYTES
from freshet.runtime.dead_letter_records import ROLE as DEAD_LETTERS
from freshet.runtime.provision import create_topic
from freshet.runtime.record_size import lone_batch_bytes
from freshet.runtime.topic_plan import lacking, plan_topics, topic_configs

_ID_OF_NONE: Final = "AAAAAAAAAAAAAAAAAAAAAA"
_MARGIN_BYTES: Final = 100
"""Of the largest record, for what is around its value."""


class RiskyError(FreshetError):
    """Freshet runs on it, but something that its users count on does not hold."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One need: what it is, the right or setting that gives it, what for, and how it is tried."""

    about: str
    needs: str
    why: str
    attempt: Callable[[Trial], str]
    """Says what was seen; raises RiskyError where Freshet runs all the same, FreshetError where it does not."""


def requirements(connection: Connection) -> Iterator[Line]:
    """Try each need on this cluster. Makes topics and a group under a prefix of their own, and deletes them again.

    Without topics, nothing that comes after them can be tried.
    """
    trial = Trial(connection)
    try:
        yield from _tried(trial)
    finally:
        with suppress(FreshetError):
            _delete(trial)  # what is left by a failure half-way, or an interrupt


def _tried(trial: Trial) -> Iterator[Line]:
    unmet = False
    for one in REQUIREMENTS:
        if unmet:
            yield Line(one.about, "warn", "was not tried, since topics could not be made for it", one.needs)
            continue
        try:
            yield Line(one.about, "ok", one.attempt(trial))
        except RiskyError as error:
            yield Line(one.about, "warn", str(error), one.needs)
        except FreshetError as error:
            unmet = one.attempt is _create
            yield Line(one.about, "bad", str(error), one.needs)


def _release(trial: Trial) -> str:
    verdict = cluster_verdict(trial.connection.bootstrap_servers, trial.connection.client)
    if verdict.faulty:
        raise UnmetError(f"{', '.join(verdict.faulty)}: {FAULT}.")
    return UNTOLD if verdict.untold else "no broker is one of those that lose transaction markers (4.3, 4.4)"


def _create(trial: Trial) -> str:
    for role in trial.roles:
        create_topic(trial.admin, trial.names.topic(role), 1, topic_configs(topic_table()[role]))
    return f"{len(trial.roles)} topics were made, one for each set of settings that Freshet uses"


def _settings(trial: Trial) -> str:
    made = {trial.names.topic(role) for role in trial.roles}
    steps = plan_topics(trial.names.namespace, [(trial.names.pipeline, 1)], trial.admin.describe(made))
    steps = [step for step in steps if step.topic in made]
    if other := [f"{step.topic} should have {step.details}" for step in steps if step.action not in ("ok", "lacks")]:
        raise UnmetError(f"the cluster keeps other settings than it was given: {'; '.join(other)}.")
    if short := lacking(steps):
        raise RiskyError(f"{short}.")
    return "all settings are in force: retention, compaction, times by the broker, sizes of segments and records"


def _copies(trial: Trial) -> str:
    topic = trial.names.topic(trial.roles[0])
    found = trial.admin.describe([topic])[topic]
    in_sync = int(found.configs.get("min.insync.replicas", "1"))
    seen = f"a new topic has {found.replicas} replicas, and a write is acknowledged once {in_sync} of them have it"
    if found.replicas < 2 or in_sync < 2:
        raise RiskyError(f"{seen}: if one broker's disk is lost, committed answers may be lost.")
    if in_sync >= found.replicas:
        raise RiskyError(f"{seen}: while one broker is away, nothing is answered.")
    return seen


def _ids(trial: Trial) -> str:
    if {"", _ID_OF_NONE} & {*trial.bus.ask_topic_ids(trial.roles)().values()}:
        raise UnmetError("the cluster gives topics no ids.")
    return "each topic has an id of its own"


def _produce(trial: Trial) -> str:
    trial.send("events", b"tried")
    return "an idempotent producer wrote a record"


def _chunk(trial: Trial) -> str:
    trial.send("schemas", bytes(CHUNK_BYTES))
    return f"a record of {CHUNK_BYTES:,} bytes was taken where no size is set"


def _dead_letter(trial: Trial) -> str:
    value = bytes(CAP_BYTES - lone_batch_bytes(KEY, b"", None) - _MARGIN_BYTES)
    trial.send(DEAD_LETTERS, value)
    return f"a record of {len(value):,} bytes was taken"


def _read(trial: Trial) -> str:
    if not trial.arrives("events", b"tried"):
        raise UnmetError("a record was written, and is not to be read.")
    return "a record was read back without a group"


def _groups(trial: Trial) -> str:
    group = trial.names.group(SERVICE)
    with closing(trial.bus.consumer(SERVICE, ["events"], None)) as consumer:
        joined(consumer)
        if group not in trial.admin.groups(group):
            raise UnmetError(f"group {group} has a member, and is not listed: the user may not DESCRIBE it.")
        trial.admin.committed(group, trial.names.topic("events"))
    return "a member joined, and its group was listed, with how far it has come"


def _transaction(trial: Trial) -> str:
    trial.commit(b"kept", left=False)
    if not trial.arrives("feedback", b"kept"):
        raise UnmetError(
            f"a transaction was committed, but is not to be read after {WITHIN_S:.0f} s: its marker was not written. "
            "Its coordinator's errors are in the broker's log; is its certificate valid for its own address?"
        )
    return "records and the offsets of a group were committed together, and read as committed"


def _isolation(trial: Trial) -> str:
    try:
        trial.commit(b"aborted", left=True)
    except RefusedError:
        if b"aborted" in trial.committed("feedback"):
            raise UnmetError("a record of an aborted transaction is read as if it was committed.") from None
        return "the commit of a member that had left its group was refused, and what it wrote is not read"
    raise UnmetError("the commit of a member that had left its group was taken: two could answer one event.")


def _delete(trial: Trial) -> str:
    delete_namespace(trial.connection)
    if left := [name for name in trial.admin.names() if name.startswith(trial.names.namespace)]:
        raise UnmetError(f"these topics are left: {', '.join(left)}.")
    return "topics and group were deleted"


REQUIREMENTS: Final = (
    Requirement(
        "release",
        "Kafka 4.0 to 4.2, or a release with the fix of KAFKA-20734",
        "others lose markers of transactions: events are lost or answered twice",
        _release,
    ),
    Requirement(
        "topics can be made",
        "CREATE on topics that begin with the namespace, and the settings of `freshet topics plan` allowed",
        "`freshet apply` makes a pipeline's topics; where somebody else does, give them these settings",
        _create,
    ),
    Requirement(
        "settings in force",
        "DESCRIBE_CONFIGS on these topics; a cluster that keeps the settings that it is given (without "
        "min.cleanable.dirty.ratio and max.compaction.lag.ms all works, on larger topics)",
        "retention and compaction keep what services begin with; times by the broker order labels and answers",
        _settings,
    ),
    Requirement(
        "copies",
        "default.replication.factor=3 and min.insync.replicas=2 on the brokers, for the cluster's own topics too",
        "what was answered and committed must outlive any one broker, and go on without it",
        _copies,
    ),
    Requirement(
        "topic ids",
        "DESCRIBE on these topics (READ and WRITE bring it)",
        "a topic that was deleted and made anew must not be taken for the old one",
        _ids,
    ),
    Requirement("writing", "WRITE on these topics", "idempotent producers: gateway, command line, models", _produce),
    Requirement(
        "reading without a group",
        "READ on these topics, and on the group `freshet.reader`",
        "services read pipelines, models and their own last answers whole",
        _read,
    ),
    Requirement(
        "records of 512 KiB",
        f"message.max.bytes of the brokers at least {CHUNK_BYTES + 1024:,}",
        "a model is published in chunks of that size, on topics with the brokers' own limit",
        _chunk,
    ),
    Requirement(
        "large dead letters",
        f"max.message.bytes={CAP_BYTES} on the topics of dead letters, and replica fetches that take it",
        "the largest event, set aside with its context",
        _dead_letter,
    ),
    Requirement(
        "groups",
        "READ on groups that begin with the namespace (it brings DESCRIBE); the classic protocol",
        "services divide partitions among their processes; `freshet lag` and `freshet observe` ask how far they are",
        _groups,
    ),
    Requirement(
        "transactions",
        "WRITE on transactional ids that begin with the namespace; transaction.max.timeout.ms at least 15000; brokers "
        "that reach each other at their advertised addresses",
        "an answer and the offset of its event become visible together, or not at all",
        _transaction,
    ),
    Requirement(
        "fencing and isolation",
        "a Kafka that looks at each commit who is a member of the group",
        "a process that was replaced must not answer once more",
        _isolation,
    ),
    Requirement(
        "topics and groups can be deleted",
        "DELETE on topics and groups that begin with the namespace",
        "`freshet pipeline delete`; no service needs it",
        _delete,
    ),
)
