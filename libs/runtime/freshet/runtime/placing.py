"""The partitions that a group member owns: which flow, which wait, and at which offset each goes on."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import structlog

from freshet.contracts.logic import Effect, Hold, Logic, Release
from freshet.runtime.bus import (
    Bus,
    Collected,
    Committed,
    ExpiredError,
    FatalError,
    GroupConsumer,
    Place,
    RefusedError,
    Transaction,
    TransactionalProducer,
)
from freshet.runtime.dead_letters import expired_letter
from freshet.runtime.loop_metrics import LoopMetrics
from freshet.runtime.recovery import Trace, checked, recover

_COMMITTED_TIMEOUT_S: Final = 1.0


class Placing:
    """Sets partitions to their committed offsets, whether they are new, released or rewound, and lets them flow.

    Whatever goes wrong with a batch, `rewind` is the answer: only the broker knows what became visible.
    """

    def __init__(
        self,
        logic: Logic,
        bus: Bus,
        producer: TransactionalProducer,
        *,
        traces: Sequence[Trace],
        carry_out: Callable[[Iterable[Effect]], None],
        metrics: LoopMetrics,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        """`carry_out` does what the logic wants done when it is given a partition."""
        self._logic, self._bus, self._producer, self._traces = logic, bus, producer, traces
        self._carry_out, self._metrics, self._log = carry_out, metrics, log
        self._consumer: GroupConsumer | None = None
        self._unplaced: set[Place] = set()
        self._held: dict[Place, str] = {}
        self._metadata: dict[Place, str] = {}

    @property
    def joined(self) -> bool:
        """True once this is a member of a group."""
        return self._consumer is not None

    @property
    def held(self) -> int:
        """How many partitions wait for the logic to release them."""
        return len(self._held)

    @property
    def unplaced(self) -> int:
        """How many partitions wait for their committed offsets."""
        return len(self._unplaced)

    @property
    def metadata(self) -> Mapping[Place, str]:
        """Metadata of the last committed offset of each partition."""
        return self._metadata

    def join(self, consumer: GroupConsumer) -> None:
        """Be this member of the group from now on."""
        self._consumer = consumer

    def collect(self, limit: int, limit_bytes: int, timeout_s: float) -> Collected | None:
        """The next batch, all of whose rows are ours; None if there is none.

        A batch torn by a rebalance is dropped whole. Raises ExpiredError, FatalError, RetriableError.
        """
        got = self._group.collect(limit, limit_bytes, timeout_s)
        self._absorb_changes()
        if got is not None and got.torn:
            self.rewind("rebalance")
            return None
        return got

    def idle(self, timeout_s: float, cause: str) -> None:
        """Stay a member of the group and read nothing: every partition waits at its committed offset for `place`."""
        if self._group.owned() - self._held.keys() - self._unplaced:
            self.rewind(cause)
        self.collect(1, 1, timeout_s)

    def place(self) -> None:
        """Set partitions that are due to their committed offsets, and let them flow.

        Never call it with an unanswered batch at hand: it raises RetriableError while the offset of a partition cannot
        be known, and the rows of the others, already read, would be lost with the batch.
        """
        self._unplaced &= self._group.owned()
        if not self._unplaced:
            return
        # As of now, not of the last change: a rebalance that gave and took nothing has moved the generation on, too.
        # It is not too new either, since what we own goes to nobody before a callback has told us, inside a poll.
        membership = self._group.membership()
        committed = self._group.committed(sorted(self._unplaced), _COMMITTED_TIMEOUT_S)
        fresh = {place: self._first(place, known) for place, known in committed.items() if self._is_new(known)}
        if fresh:
            # Before the first poll, so that a crash cannot move the start.
            try:
                self._producer.commit(Transaction(offsets=fresh, membership=membership))
            except RefusedError as error:
                self._log.info("start_refused", error=str(error))
                return
        for place in sorted(self._unplaced):
            self._begin(place, fresh.get(place) or committed[place])
            self._unplaced.discard(place)  # each at once: it flows now, and may not be set back if the next one fails

    def hold(self, effect: Hold) -> None:
        """Deliver nothing of this partition until it is released."""
        place = Place(effect.role, effect.partition)
        self._group.pause(place)
        self._held[place] = effect.reason
        self._log.info("holding", place=place, reason=effect.reason)

    def release(self, effect: Release) -> None:
        """Read a held partition again, from its committed offset."""
        place = Place(effect.role, effect.partition)
        if self._held.pop(place, None) is not None:
            self._unplaced.add(place)

    def committed(self, offsets: Mapping[Place, Committed]) -> None:
        """Remember the metadata of offsets that were committed."""
        self._metadata.update({place: at.metadata for place, at in offsets.items()})

    def rewind(self, cause: str) -> None:
        """Forget what was read and set every partition to its committed offset.

        Never to the batch's first, which another owner may have passed.
        """
        for place in self._group.owned() - self._held.keys():
            self._group.pause(place)
            self._unplaced.add(place)
        self._metrics.rewound(cause)
        self._log.info("rewinding", cause=cause)

    def expired(self, error: ExpiredError, *, skip: bool) -> None:
        """Records were deleted before we read them: stop, or leave a dead letter that says which and go on."""
        if error.place not in self._group.owned():
            return  # it was taken from us in the same poll: its next owner will find out
        place, span = error.place, self._group.span(error.place)
        if not skip:
            raise FatalError(
                f"{error} The topic holds {span.low} to {span.end}: its retention has overtaken us. Raise the "
                "retention, or start with --on-expired skip to leave a dead letter and go on at what is left."
            ) from error
        detail = f"offsets {error.position} to {span.low} expired unread"
        at = Committed(span.low, self._metadata.get(place, self._logic.origin))
        self._log.error("expired", place=place, detail=detail)
        letter = expired_letter(place, span.low, detail)
        try:
            self._producer.commit(Transaction([letter], {place: at}, self._group.membership()))
        except RefusedError as refused:
            self._log.warning("refused", error=str(refused))  # rewound, it finds out again
        self.rewind("expired")

    def close(self) -> None:
        """Leave the group (a fixed slot keeps its place)."""
        if self._consumer is not None:
            self._consumer.close()

    @property
    def _group(self) -> GroupConsumer:
        assert self._consumer is not None, "join() comes first"
        return self._consumer

    def _absorb_changes(self) -> None:
        changes = self._group.take_changes()
        if not changes.revoked and not changes.assigned:
            return
        for place in changes.revoked:
            self._forget(place)
            self._logic.on_revoke(place.role, place.partition)
        self._unplaced.update(changes.assigned)
        self._metrics.rebalanced(len(self._group.owned()))
        self._log.info("rebalanced", revoked=changes.revoked, assigned=changes.assigned)

    def _forget(self, place: Place) -> None:
        self._unplaced.discard(place)
        self._held.pop(place, None)
        self._metadata.pop(place, None)

    def _is_new(self, known: Committed | None) -> bool:
        """Whether the group has no offset, or one that says nothing where a position in history must stand."""
        return known is None or (not known.metadata and bool(self._logic.origin))

    def _first(self, place: Place, known: Committed | None) -> Committed:
        """Where a partition starts that has no usable committed offset."""
        recovered = recover(self._bus, self._traces, place)
        start = checked(place, known, recovered, self._group.span(place), self._logic.origin)
        self._log.info("starting", place=place, committed=known, recovered=recovered, start=start)
        return start

    def _begin(self, place: Place, at: Committed | None) -> None:
        assert at is not None
        self._metadata[place] = at.metadata
        self._carry_out(self._logic.on_assign(place.role, place.partition, at.metadata))
        if place not in self._held:
            self._group.start(place, at.offset)
