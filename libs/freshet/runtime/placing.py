"""The partitions that a group member owns: which flow, which wait, and at which offset each goes on."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import structlog

from freshet.contracts.logic import Effect, Hold, Logic, Release
from freshet.contracts.position import stamped, unstamped
from freshet.runtime.bus.protocol import (
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
from freshet.runtime.counterparts import Counterparts
from freshet.runtime.dead_letters import expired_letter
from freshet.runtime.lives import Lives
from freshet.runtime.loop_metrics import LoopMetrics
from freshet.runtime.recovery import Recovery, Trace, checked, lost_end

_COMMITTED_TIMEOUT_S: Final = 1.0
_WATCH_MS: Final = 5_000


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
        pipeline: str,
        carry_out: Callable[[Iterable[Effect]], None],
        metrics: LoopMetrics,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        """`carry_out` does what the logic wants done when it is given a partition."""
        self._logic, self._bus, self._producer = logic, bus, producer
        self._traces, self._pipeline = traces, pipeline
        self.lives = Lives(bus, logic.reads, logic.on_topic)
        """The input topics' ids: what was read is answered under them, or not at all."""
        self._counterparts = Counterparts(bus, traces)
        self._recovery: Recovery | None = None
        self._lacking: dict[Place, str] = {}
        self._watched_ms = 0
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

    def unready(self) -> str | None:
        """Why partitions wait that are to flow; None if none does."""
        if self._recovery is not None:
            searched = f"{len(self._recovery.places)} partitions search the answers for where they go on"
            return self._recovery.waits or f"{searched}: their committed offsets are lost, or not ours."
        if self._unplaced:
            return f"{len(self._unplaced)} partitions wait for their committed offsets"
        return next(iter(self._lacking.values()), None)

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
        if got is not None:
            self.lives.ask()
        return got

    def idle(self, timeout_s: float, cause: str) -> None:
        """Stay a member of the group and read nothing: every partition waits at its committed offset for `place`."""
        if self._group.owned() - self._held.keys() - self._unplaced - self._lacking.keys():
            self.rewind(cause)
        self.collect(1, 1, timeout_s)

    def place(self) -> None:
        """Set partitions that are due to their committed offsets, and let them flow.

        Never call it with an unanswered batch at hand: it raises RetriableError while the offset of a partition cannot
        be known, and the rows of the others, already read, would be lost with the batch.
        """
        self._unplaced &= self._group.owned()
        self._set_lacking_aside()
        if not self._unplaced:
            self._recovery = None
            return
        self.lives.learn({place.role for place in self._unplaced})
        committed = self._group.committed(sorted(self._unplaced), _COMMITTED_TIMEOUT_S)
        lost: dict[Place, Committed | None] = {}
        for place, known in committed.items():
            at, usable = self._understood(place, known)
            if at is not None and usable:
                self._begin(place, at)
            else:
                lost[place] = at
        for place, start in self._recovered(lost).items():
            self._begin(place, start)

    def watch(self, now_ms: int) -> None:
        """Every few seconds: whether a topic was made anew (FatalError), and whether what lacks has come."""
        if not 0 <= now_ms - self._watched_ms < _WATCH_MS:
            self._watched_ms = now_ms
            self.lives.watch()
            for place in [place for place in self._lacking if self._counterparts.lack(place) is None]:
                del self._lacking[place]
                self._unplaced.add(place)

    def stamped(self, offsets: Mapping[Place, Committed]) -> dict[Place, Committed]:
        """These offsets as they are committed: with the id of the topic that each is of."""
        known = self.lives.known
        return {place: Committed(at.offset, stamped(at.metadata, known[place.role])) for place, at in offsets.items()}

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
        for place in self._group.owned() - self._held.keys() - self._lacking.keys():
            self._group.pause(place)
            self._unplaced.add(place)
        self._metrics.rewound(cause)
        self._log.info("rewinding", cause=cause)

    def expired(self, error: ExpiredError, *, skip: bool) -> None:
        """Records were deleted before we read them: stop, or leave a dead letter that says which and go on."""
        if error.place not in self._group.owned():
            return  # it was taken from us in the same poll: its next owner will find out
        try:
            self._pass_over(error, skip=skip)
        finally:
            # Started anew it goes on, or finds out again: also where the broker could not be asked just now.
            self.rewind("expired")

    def _pass_over(self, error: ExpiredError, *, skip: bool) -> None:
        self.lives.learn({error.place.role})
        place, span = error.place, self._group.span(error.place)
        if error.position > span.high:
            raise lost_end(place, error.position, span) from error
        if error.position >= span.low:
            # A client says so too while a new leader does not know its end yet. What is there is read again.
            self._log.warning("nothing_expired", place=place, position=error.position, span=span)
            return
        if not skip:
            raise FatalError(
                f"{error} The topic holds {span.low} to {span.end}: its retention has overtaken us. Raise the "
                "retention, or start with --on-expired skip to leave a dead letter and go on at what is left."
            ) from error
        detail = f"offsets {error.position} to {span.low} expired unread"
        at = Committed(span.low, self._metadata.get(place, self._logic.origin))
        self._log.error("expired", place=place, detail=detail)
        letter = expired_letter(place, span.low, detail, self.lives.known[place.role])
        try:
            self._producer.commit(Transaction([letter], self.stamped({place: at}), self._group.membership()))
        except RefusedError as refused:
            self._log.warning("refused", error=str(refused))

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
        if changes.revoked:
            self._recovery = None  # others may answer there before it is ours again
        for place in changes.revoked:
            self._forget(place)
            self._logic.on_revoke(place.role, place.partition)
        self._unplaced.update(changes.assigned)
        self._metrics.rebalanced(len(self._group.owned()))
        self._log.info("rebalanced", revoked=changes.revoked, assigned=changes.assigned)

    def _forget(self, place: Place) -> None:
        self._unplaced.discard(place)
        self._held.pop(place, None)
        self._lacking.pop(place, None)
        self._metadata.pop(place, None)

    def _set_lacking_aside(self) -> None:
        """Do not read what could not be answered, and let the rest flow."""
        for place in sorted(self._unplaced):
            why = self._counterparts.lack(place)
            if why is not None:
                self._unplaced.discard(place)
                self._lacking[place] = why
                self._log.error("no_counterpart", place=place, why=why)

    def _understood(self, place: Place, known: Committed | None) -> tuple[Committed | None, bool]:
        """A committed offset without its stamp, and whether it can be gone on from as it is.

        One of an earlier life of the topic means nothing. One without a stamp was set by an operator's tool, or by an
        older release: our own outputs must confirm it.
        """
        if known is None:
            return None, False
        metadata, topic_id = unstamped(known.metadata)
        if topic_id and topic_id != self.lives.known[place.role]:
            self._log.warning("offset_of_an_earlier_topic", place=place, committed=known)
            return None, False
        return Committed(known.offset, metadata), bool(topic_id and (metadata or not self._logic.origin))

    def _recovered(self, lost: Mapping[Place, Committed | None]) -> Mapping[Place, Committed]:
        """Where partitions start that have no usable committed offset, committed; empty while that is not known."""
        if not lost:
            self._recovery = None
            return {}
        if self._recovery is None or self._recovery.places != lost.keys():
            self._recovery = Recovery(self._bus, self._traces, self._pipeline, lost.keys(), self.lives.known)
        search, self._recovery = self._recovery, None  # whatever goes wrong, it begins anew
        if not search.step():
            self._recovery = search
            return {}
        starts = {place: self._first(place, known, search.found(place)) for place, known in lost.items()}
        try:
            # Before the first poll, so that a crash cannot move the start. With the membership of now, not of when the
            # search began; it is not too new, since what we own goes to nobody before a callback has told us.
            self._producer.commit(Transaction(offsets=self.stamped(starts), membership=self._group.membership()))
        except RefusedError as error:
            self._log.info("start_refused", error=str(error))
            return {}
        return starts

    def _first(self, place: Place, known: Committed | None, recovered: Committed | None) -> Committed:
        start = checked(place, known, recovered, self._group.span(place), self._logic.origin)
        self._log.info("starting", place=place, committed=known, recovered=recovered, start=start)
        return start

    def _begin(self, place: Place, at: Committed) -> None:
        self._metadata[place] = at.metadata
        self._carry_out(self._logic.on_assign(place.role, place.partition, at.metadata))
        if place not in self._held:
            self._group.start(place, at.offset)
        self._unplaced.discard(place)  # each at once: it flows now, and may not be set back if the next one fails
