"""Faust as the engine of a loop: it is the member of the group, delivers the log, writes the answers and commits.

The loop around it stays the same, and so do its state, its committed offsets and what it reports. What is different: a
commit is no transaction. Answers are written first, then the offset is committed, then the state is written. So no
process leaves an offset, or a state, that an answer is missing for. One that dies before it commits leaves answers that
its successor comes to again: these it does not write a second time.

Nothing rests on what Faust hands over: each stretch of it is compared with the log before it is used.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import faust
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from freshet.contracts.batch import Batch
from freshet.drift.faust.already_said import AlreadySaid
from freshet.drift.faust.faust_session import FaustSession
from freshet.drift.faust.faust_settings import safe_settings
from freshet.drift.faust.log_check import LogCheck
from freshet.drift.faust.strict_driver import correct
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.kafka.groups import KafkaGroups
from freshet.runtime.bus.kafka.kafka_consumer import span_of
from freshet.runtime.bus.protocol import (
    Assignor,
    Changes,
    Collected,
    Committed,
    ExpiredError,
    FatalError,
    Place,
    RefusedError,
    RetriableError,
    Send,
    Span,
    TooLargeError,
    Transaction,
)
from freshet.runtime.dead_letter_records import CAP_BYTES
from freshet.runtime.service import Context

_WRITE_S: Final = 40.0
_PAUSE_S: Final = 5.0


class FaustBus(KafkaBus):
    """A bus whose group members are Faust's. It is for logics that read one log of one partition."""

    def __init__(self, context: Context, state_role: str, *, strict: bool = True) -> None:
        """`state_role` is where the logic's state is written. Without `strict`, Faust is left as it is released."""
        super().__init__(context.settings.bootstrap_servers, context.names, extra=context.settings.kafka)
        self._settings, self._state_role, self._strict = context.settings, state_role, strict
        self.member: FaustConsumer | None = None

    def consumer(  # type: ignore[override]
        self,
        service: str,
        roles: Sequence[str],
        instance: str | None,
        assignor: Assignor = "range",  # noqa: ARG002 - Faust has its own
    ) -> "FaustConsumer":
        """See `bus.Bus`."""
        (role,) = roles
        group = self.names.group(service)
        self._await_no_others(group)
        make = partial(self._app, group, instance)
        admin = KafkaAdmin(self._settings.bootstrap_servers, extra=self._settings.kafka)
        committed = partial(admin.committed, group, self.names.topic(role), stable=True)
        self.member = FaustConsumer(make, self, Place(role, 0), committed)
        return self.member

    def _app(self, group: str, instance: str | None) -> faust.App:
        options = {
            "consumer_group_instance_id": instance,
            "topic_allow_declare": False,
            "table_standby_replicas": 0,
            "stream_wait_empty": False,  # nothing is acknowledged, so there is nothing to wait for
            "producer_max_request_size": CAP_BYTES + 100_000,
            "broker_commit_livelock_soft_timeout": 1e9,  # Faust is not told of commits
        }
        app = faust.App(group, **safe_settings(self._settings) | options)
        if self._strict:
            correct(app)
        return app

    def _await_no_others(self, group: str) -> None:
        """Raises RetriableError, after some seconds, while the group has members of another engine."""
        members = KafkaGroups(self._settings.bootstrap_servers, extra=self._settings.kafka).members(group)
        others = [member for member in members if not member.client.startswith("faust")]
        if others:
            time.sleep(_PAUSE_S)
            raise RetriableError(
                f"group {group} has a member at {others[0].host} that is not on Faust, and Kafka lets only one engine "
                "into a group. Waiting for it to leave: a fixed slot is counted for 30 s after it was stopped."
            )

    def transactional_producer(self, service: str, slot: str, *, reopen: bool = True) -> "FaustProducer":  # type: ignore[override]  # noqa: ARG002
        """See `bus.Bus`."""
        return FaustProducer(self, self._state_role)


class FaustConsumer:
    """Implements `bus.GroupConsumer`."""

    def __init__(
        self,
        make: Callable[[], faust.App],
        bus: FaustBus,
        place: Place,
        committed: Callable[[], Mapping[int, Committed]],
    ) -> None:
        self._bus, self._place, self._committed = bus, place, committed
        self._next: int | None = None
        self._expired = False
        self._check = LogCheck(bus, place)
        self.said = AlreadySaid(bus)
        self.session = FaustSession(make, bus.names.topic(place.role), place)
        self.session.start()

    def collect(self, limit: int, limit_bytes: int, timeout_s: float) -> Collected | None:
        """See `bus.GroupConsumer`. Ends the process where Faust did not deliver what the log holds."""
        if self._next is None:
            time.sleep(timeout_s)
            return None
        if self._expired:
            self._expired = False
            raise ExpiredError(self._place, self._next)
        records = self.session.from_offset(self._next, limit, limit_bytes, timeout_s)
        if not records:
            self._check.nothing_came(self._next)
            return None
        self._check.compare(self._next, records)
        self._next = records[-1].offset() + 1
        return Collected((Batch(self._place.role, records),), None, interrupted=False)

    def take_changes(self) -> Changes:
        """See `bus.GroupConsumer`."""
        changes = self.session.take_changes()
        if self._place in changes.revoked:
            self._next = None
        return changes

    def owned(self) -> frozenset[Place]:
        """See `bus.GroupConsumer`."""
        return self.session.owned()

    def membership(self) -> object:
        """See `bus.GroupConsumer`. Whether it is still a member is asked when it commits."""
        return None

    def committed(self, places: Sequence[Place], timeout_s: float) -> dict[Place, Committed | None]:  # noqa: ARG002
        """See `bus.GroupConsumer`."""
        found = self._committed()
        return {place: found.get(place.partition) for place in places}

    def start(self, place: Place, offset: int) -> None:
        """See `bus.GroupConsumer`."""
        if place not in self.session.owned():
            raise FatalError(f"{place.role}/{place.partition} is not ours: it cannot be started.")
        self._next = offset
        self.said.forget()
        self._expired = offset < self.span(place).low

    def pause(self, place: Place) -> None:
        """See `bus.GroupConsumer`."""
        if place == self._place:  # no other is ever started
            self._next = None

    def span(self, place: Place) -> Span:
        """See `bus.GroupConsumer`."""
        return span_of(self._bus.spans(place.role), place)

    def close(self) -> None:
        """See `bus.GroupConsumer`."""
        self.session.close()
        self._check.close()


class FaustProducer:
    """Implements `bus.TransactionalProducer`, without transactions: see above in which order it writes."""

    def __init__(self, bus: FaustBus, state_role: str) -> None:
        self._bus, self._state_role = bus, state_role

    def open(self) -> None:
        """See `bus.TransactionalProducer`. There is nobody to fence: whoever lost the partition cannot commit."""

    def commit(self, transaction: Transaction) -> None:
        """See `bus.TransactionalProducer`."""
        assert self._bus.member is not None, "the consumer comes first"
        session, said = self._bus.member.session, self._bus.member.said
        state = [send for send in transaction.sends if send.role == self._state_role]
        answers = [send for send in transaction.sends if send.role != self._state_role]
        if not transaction.offsets.keys() <= session.owned():
            raise RefusedError("the partition went to another member; nothing was written.")
        try:
            self._write(session, [said.unsaid(send) for send in answers])
            self._commit(session, transaction.offsets)
            self._write(session, state)
        except MessageSizeTooLargeError as error:
            raise TooLargeError(str(error)) from error
        except (KafkaError, RetriableError) as error:
            said.forget()  # what was sent may still arrive
            raise RefusedError(f"Faust could not write or commit: {error!r}") from error

    def _write(self, session: FaustSession, sends: Sequence[Send]) -> None:
        for send in sends:
            count = len(send.values)
            columns: list[Sequence[Any]] = [
                send.keys,
                send.values,
                send.partitions or [None] * count,
                send.headers or [None] * count,
            ]
            session.write(self._bus.names.topic(send.role), list(zip(*columns, strict=True)), _WRITE_S)

    def _commit(self, session: FaustSession, offsets: Mapping[Place, Committed]) -> None:
        for place, (offset, metadata) in offsets.items():
            session.commit(place.partition, offset, metadata, _WRITE_S)
            session.forget_before(place, offset)

    def cap_bytes(self, role: str) -> int:  # noqa: ARG002
        """See `bus.TransactionalProducer`."""
        return CAP_BYTES

    def close(self) -> None:
        """See `bus.TransactionalProducer`."""
