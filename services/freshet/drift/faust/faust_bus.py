"""Faust as the engine of a loop: it is the member of the group, delivers the log, writes the answers and commits.

The loop around it stays the same, and so do its state, its committed offsets and what it reports. What is different: a
commit is no transaction. Answers are written first, then the offset is committed, then the state is written. So a
process that dies in between leaves answers that its successor writes again, with the same ids; it never leaves a state
or an offset that an answer is missing for.

Nothing rests on what Faust hands over: each stretch of it is compared with the log before it is used.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import faust
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from freshet.contracts.batch import Batch
from freshet.drift.faust.faust_app import make_app
from freshet.drift.faust.faust_session import Delivered, FaustSession
from freshet.drift.faust.strict_driver import leave
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.protocol import (
    Assignor,
    Changes,
    Collected,
    Committed,
    ExpiredError,
    FatalError,
    Place,
    RangeReader,
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
_LOOK_S: Final = 5.0
_STALL_S: Final = 60.0
"""So long may the log hold a record that Faust does not deliver."""


class FaustBus(KafkaBus):
    """A bus whose group members are Faust's. It is for logics that read one log of one partition."""

    def __init__(self, context: Context, state_role: str, *, strict: bool = True) -> None:
        """`state_role` is where the logic's state is written. See `make_app` about `strict`."""
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
        make = partial(
            make_app,
            self._settings,
            group,
            instance=instance,
            strict=self._strict,
            table_standby_replicas=0,
            stream_wait_empty=False,  # nothing is acknowledged, so there is nothing to wait for
            producer_max_request_size=CAP_BYTES + 100_000,
            broker_commit_livelock_soft_timeout=1e9,  # Faust is not told of commits
        )
        admin = KafkaAdmin(self._settings.bootstrap_servers, extra=self._settings.kafka)
        committed = partial(admin.committed, group, self.names.topic(role), stable=True)
        self.member = FaustConsumer(make, self, Place(role, 0), committed)
        return self.member

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
        self._looked_s = time.monotonic()
        self._undelivered: tuple[int, float] | None = None
        self._ranges: RangeReader = bus.ranges([place.role])
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
            self._look_for_a_stall()
            return None
        self._compare(self._next, records)
        self._next, self._undelivered = records[-1].offset() + 1, None
        return Collected((Batch(self._place.role, records),), None, interrupted=False)

    def _compare(self, first: int, records: Sequence[Delivered]) -> None:
        delivered = {record.offset(): record.value() for record in records}
        held = self._held(first, records[-1].offset() + 1)
        if delivered == held:
            return
        offset = min(offset for offset in {*delivered, *held} if delivered.get(offset, self) != held.get(offset, self))
        what = "left out" if offset not in delivered else "altered" if offset in held else "made up, or aborted,"
        leave(
            f"Faust has {what} record {offset} of {self._bus.names.topic(self._place.role)}: what it delivers is not "
            "what the log holds. Nothing of it was used. The next process goes on from the committed offset; if that "
            "happens again and again, set FRESHET_DRIFT_ENGINE=loop."
        )

    def _held(self, first: int, end: int) -> dict[int, bytes | None]:
        """The log's records with first ≤ offset < end."""
        found: dict[int, bytes | None] = {}
        while first < end:
            records, upto = self._ranges.read(self._place, first, end)
            found.update((record.offset(), record.value()) for record in records)
            if upto <= first:
                break
            first = upto
        return found

    def _look_for_a_stall(self) -> None:
        now_s = time.monotonic()
        if self._next is None or now_s - self._looked_s < _LOOK_S:
            return
        self._looked_s = now_s
        end = self.span(self._place).end
        unread = min(self._held(self._next, end), default=None) if end > self._next else None
        if unread is None or self._undelivered is None or self._undelivered[0] != unread:
            self._undelivered = None if unread is None else (unread, now_s)
        elif now_s - self._undelivered[1] > _STALL_S:
            leave(f"Faust does not deliver record {unread}, which the log has held for {_STALL_S:.0f} s.")

    def take_changes(self) -> Changes:
        """See `bus.GroupConsumer`."""
        changes = self.session.take_changes()
        if changes.revoked:
            self._next = None
        return changes

    def owned(self) -> frozenset[Place]:
        """See `bus.GroupConsumer`."""
        return frozenset({self._place}) if self.session.owned() else frozenset()

    def membership(self) -> object:
        """See `bus.GroupConsumer`. Whether it is still a member is asked when it commits."""
        return None

    def committed(self, places: Sequence[Place], timeout_s: float) -> dict[Place, Committed | None]:  # noqa: ARG002
        """See `bus.GroupConsumer`."""
        found = self._committed()
        return {place: found.get(place.partition) for place in places}

    def start(self, place: Place, offset: int) -> None:
        """See `bus.GroupConsumer`."""
        if not self.session.owned():
            raise FatalError(f"{place.role}/{place.partition} is not ours: it cannot be started.")
        self._next, self._undelivered = offset, None
        self._expired = offset < self.span(place).low

    def pause(self, place: Place) -> None:  # noqa: ARG002
        """See `bus.GroupConsumer`."""
        self._next = None

    def span(self, place: Place) -> Span:
        """See `bus.GroupConsumer`."""
        spans = self._bus.spans(place.role)
        if place.partition not in spans:
            raise RetriableError(f"{place.role}/{place.partition} is not in the topic as it is now.")
        return spans[place.partition]

    def close(self) -> None:
        """See `bus.GroupConsumer`."""
        self.session.close()
        self._ranges.close()


class FaustProducer:
    """Implements `bus.TransactionalProducer`, without transactions: see above in which order it writes."""

    def __init__(self, bus: FaustBus, state_role: str) -> None:
        self._bus, self._state_role = bus, state_role

    def open(self) -> None:
        """See `bus.TransactionalProducer`. There is nobody to fence: whoever lost the partition cannot commit."""

    def commit(self, transaction: Transaction) -> None:
        """See `bus.TransactionalProducer`."""
        assert self._bus.member is not None, "the consumer comes first"
        session = self._bus.member.session
        state = [send for send in transaction.sends if send.role == self._state_role]
        answers = [send for send in transaction.sends if send.role != self._state_role]
        if transaction.offsets and not session.owned():
            raise RefusedError("the partition went to another member; nothing was written.")
        try:
            self._write(session, answers)
            self._commit(session, transaction.offsets)
            self._write(session, state)
        except MessageSizeTooLargeError as error:
            raise TooLargeError(str(error)) from error
        except (KafkaError, RetriableError) as error:
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
        for offset, metadata in offsets.values():
            session.commit(offset, metadata, _WRITE_S)
            session.forget_before(offset)

    def cap_bytes(self, role: str) -> int:  # noqa: ARG002
        """See `bus.TransactionalProducer`."""
        return CAP_BYTES

    def close(self) -> None:
        """See `bus.TransactionalProducer`."""
