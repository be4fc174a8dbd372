"""The end of a pipeline: what there is of it, who still uses it, and how all of it goes."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from freshet.contracts.logic import Decider
from freshet.contracts.topic_table import TopicNames, topic_table
from freshet.ledger.ledger import PipelineLedger
from freshet.ledger.workers import ALIVE
from freshet.operate.connection import Connection
from freshet.operate.facts import ledger_of
from freshet.operate.operate_error import OperateError
from freshet.operate.roll_call import roll_call
from freshet.runtime.bus.kafka.groups import KafkaGroups, Member
from freshet.runtime.bus.protocol import Bus, RetriableError
from freshet.runtime.clock import SystemClock
from freshet.runtime.jobs import InlineJobs
from freshet.runtime.owner_loop import OwnerLoop
from freshet.runtime.publishing import withdraw_pipeline
from freshet.runtime.service import no_jobs
from freshet.runtime.telemetry import Metrics

_REGISTRY_S: Final = 3.0
"""A registry that runs answers within a tenth of it."""
_STAND_IN_S: Final = 60.0
_POLL_S: Final = 0.2
_LOOK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Remains:
    """All that there is of one pipeline on a cluster."""

    topics: Mapping[str, int]
    """Offsets that each topic holds: records, and the marks of transactions."""
    groups: tuple[str, ...]
    specifications: int
    versions: int
    epochs: int
    active: tuple[str, ...]
    """Members that still work, in words."""

    def __bool__(self) -> bool:
        """Groups do not count: what is left of one is a matter of seconds, and of Kafka's."""
        return bool(self.topics or self.specifications or self.versions or self.epochs)


def remains(connection: Connection, pipeline: str) -> Remains:
    """Look at everything that has the pipeline's name. Changes nothing."""
    admin, bus, names = _groups(connection), connection.bus(pipeline), connection.names(pipeline)
    called = roll_call(bus, "pipelines", "models", "rollouts", say=connection.say)
    ledger = called.ledger.of(names.pipeline)
    there = set(admin.names())
    topics = {
        names.topic(role): sum(span.high - span.low for span in bus.spans(role).values())
        for role, topic in topic_table().items()
        if topic.per_pipeline and names.topic(role) in there
    }
    groups = tuple(group for group in admin.groups(f"{names.namespace}freshet.") if _is_ours(group, names))
    # a worker that has ended may leave its fixed slot a member for a while: only its beats tell
    beating = [key for key, beat in ledger.workers.beats.items() if beat.state(called.now_ms) in ALIVE]
    active = [
        _worded(group, member)
        for group in groups
        for member in admin.members(group)
        if not member.instance or _worker_of(member, names) in beating
    ]
    return Remains(
        topics,
        groups,
        len(ledger.specifications),
        _judged(ledger),
        len(ledger.epochs.records),
        tuple(sorted(active)),
    )


def arriving(connection: Connection, pipeline: str) -> dict[str, int]:
    """By topic, how many records producers wrote while this looked twice, a second apart; only where there were any.

    A producer is no member of any group: nothing else tells of one.
    """
    bus, names = connection.bus(pipeline), connection.names(pipeline)

    def ends() -> dict[str, int]:
        return {
            names.topic(role): sum(span.high for span in bus.spans(role).values())
            for role, topic in topic_table().items()
            if topic.per_pipeline and "producers" in topic.writers
        }

    before = ends()
    time.sleep(_LOOK_S)
    return {topic: end - before[topic] for topic, end in ends().items() if end > before[topic]}


def delete_pipeline(connection: Connection, pipeline: str, stand_in: Callable[[str], Decider]) -> list[str]:
    """Delete a pipeline with its topics, groups, specifications, versions and epochs; blocks until all of it is gone.

    What is interrupted, or fails half-way, is finished by the next call. Artifacts stay: other pipelines may have the
    same bytes. `stand_in` makes the registry's core that takes versions and epochs off the topics where no registry
    runs. Returns the groups that Kafka lets go of only later, when it counts no member to them any more: they hold
    nothing that matters. Raises OperateError, having changed nothing, while members are active.
    """
    found = remains(connection, pipeline)
    refuse_in_use(pipeline, found)
    connection.say("taking the specification and what belongs to it off the topics")
    withdraw_pipeline(connection.bus(pipeline), connection.names(pipeline))
    _forget_decisions(connection, pipeline, stand_in)
    admin = _groups(connection)
    connection.say(f"deleting {len(found.topics)} topics")
    admin.delete(found.topics)
    return admin.delete_groups(found.groups)


def refuse_in_use(pipeline: str, found: Remains) -> None:
    """Raise OperateError while services of the pipeline run: its topics would be pulled from under them."""
    if found.active:
        raise OperateError(
            f"services of {pipeline} still run: {', '.join(found.active)}. Stop them first (Ctrl-C, or SIGTERM).",
            "conflict",
        )


def delete_namespace(connection: Connection) -> None:
    """Delete every topic and group whose name begins with the namespace: for demos that made it up for themselves.

    Its services must have ended. Raises ValueError for no namespace, which would be everything there is.
    """
    namespace = connection.namespace
    if not namespace:
        raise ValueError("only a namespace of one's own can be deleted as a whole.")
    admin = _groups(connection)
    admin.delete([name for name in admin.names() if name.startswith(namespace)])
    admin.delete_groups(admin.groups(namespace))


def decided(bus: Bus, pipeline: str) -> int:
    """How many records of versions and epochs the registry has of a pipeline."""
    ledger = ledger_of(bus, "models", "rollouts").of(pipeline)
    return _judged(ledger) + len(ledger.epochs.records)


def _judged(ledger: PipelineLedger) -> int:
    return len(ledger.versions.records) + len(ledger.versions.refusals)


def _groups(connection: Connection) -> KafkaGroups:
    return KafkaGroups(connection.bootstrap_servers, extra=connection.client)


def _is_ours(group: str, names: TopicNames) -> bool:
    service = group[len(names.namespace) :].split(".")[1]
    return group == names.group(service)


def _worker_of(member: Member, names: TopicNames) -> str:
    """The name of the worker in that fixed slot: a slot stays a member for a while after its worker has ended."""
    service, _, slot = member.instance.partition("-")
    return names.worker(service, slot)


def _worded(group: str, member: Member) -> str:
    return f"{member.instance or member.client} on {member.host} (group {group})"


def _forget_decisions(connection: Connection, pipeline: str, stand_in: Callable[[str], Decider]) -> None:
    """Wait until the registry has withdrawn its records; where none runs, take its place for as long as that takes.

    Taking over its transactional id is what every new registry does: one that only hung finds itself fenced.
    """
    bus = connection.bus()
    if _within(_REGISTRY_S, lambda: not decided(bus, pipeline)):
        return
    connection.say("no registry is running: in its place, versions and epochs are taken off the topics from here")
    with _quiet_logs():
        loop = OwnerLoop(
            stand_in(pipeline),
            bus,
            bus.names,
            service="registry",
            jobs=InlineJobs(no_jobs),
            clock=SystemClock(),
            metrics=Metrics(),
        )

        def turned() -> bool:
            loop.step(_POLL_S)
            return not decided(bus, pipeline)

        try:
            gone = _within(_STAND_IN_S, turned)
        finally:
            loop.close()
    if not gone:
        raise RetriableError(
            f"the versions of {pipeline} could not be withdrawn within {_STAND_IN_S:.0f} s. Try again."
        )


def _within(seconds: float, holds: Callable[[], object]) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


@contextmanager
def _quiet_logs() -> Iterator[None]:
    """A command tells what it does in sentences; the loop's log lines are for services."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)
