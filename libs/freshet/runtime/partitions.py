"""The partitions that a group member owns: the only room that pauses, sets back and starts them."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import structlog

from freshet.contracts.batch import Batch
from freshet.contracts.logic import Hold, Logic
from freshet.contracts.messages import PartitionState
from freshet.contracts.stateful import StateFormatError, Stateful
from freshet.runtime.bus.protocol import (
    Bus,
    Changes,
    Collected,
    Committed,
    ExpiredError,
    GroupConsumer,
    Place,
    Send,
    TransactionalProducer,
)
from freshet.runtime.counterparts import Counterparts
from freshet.runtime.idle import IdleLogs
from freshet.runtime.loop_metrics import LoopMetrics
from freshet.runtime.partition_states import Partition, State
from freshet.runtime.recovery import Clue
from freshet.runtime.starts import Starts
from freshet.runtime.state.keeper import Keeper
from freshet.runtime.state.state_mark import StateMark

_WATCH_MS: Final = 5_000


class Partitions:
    """Sets partitions to their committed offsets, whether they are new or rewound, and lets those flow that may.

    Whatever goes wrong with a batch, `rewind` is the answer: only the broker knows what became visible.
    """

    def __init__(
        self,
        logic: Logic,
        bus: Bus,
        producer: TransactionalProducer,
        *,
        references: Sequence[Clue],
        pipeline: str,
        metrics: LoopMetrics,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._logic, self._metrics, self._log = logic, metrics, log
        self.starts = Starts(logic, bus, producer, references=references, pipeline=pipeline, log=log)
        self._keeper = Keeper(logic, bus, self.starts.lives.known) if isinstance(logic, Stateful) else None
        self._counterparts = Counterparts(bus, references, logic.together)
        self._idle = IdleLogs(bus, tuple(role for roles in logic.together for role in roles))
        self._group: GroupConsumer
        self.joined = False
        """True once this is a member of a group."""
        self._known: dict[Place, Partition] = {}
        self._watched_ms = 0

    @property
    def waiting(self) -> int:
        """How many partitions wait because the logic says so."""
        return len(self._in("waiting"))

    @property
    def owned(self) -> frozenset[Place]:
        """The partitions that this worker has now, whether or not they are being read."""
        return frozenset(self._known)

    def states(self) -> tuple[PartitionState, ...]:
        """Every partition, and why it is not read where somebody has to know."""
        return tuple(known.told(place) for place, known in sorted(self._known.items()))

    def unready(self) -> str | None:
        """Why partitions wait for something else than the logic; None if none does."""
        if self.starts.waits:
            return self.starts.waits
        placed = [self._known[place] for place in self._in("arrived", "restoring")]
        if due := sum(not partition.why for partition in placed):
            restoring = self._keeper.restoring if self._keeper is not None else 0
            what = f"their committed offsets{f', or for their state ({restoring})' if restoring else ''}"
            return f"{due} partitions wait for {what}"
        return next((partition.why for partition in placed), None)

    def join(self, consumer: GroupConsumer) -> None:
        """Be this member of the group from now on."""
        self._group, self.joined = consumer, True

    def collect(self, limit: int, limit_bytes: int, timeout_s: float) -> Collected | None:
        """The next batch, all of whose rows are ours; None if there is none.

        A batch interrupted by a rebalance is dropped whole. Raises ExpiredError, FatalError, RetriableError.
        """
        got = self._group.collect(limit, limit_bytes, timeout_s)
        changes = self._group.take_changes()
        if changes.revoked or changes.assigned:
            self._absorb(changes)
        if got is not None and got.interrupted:
            self.rewind("rebalance")
            return None
        if got is not None:
            self.starts.lives.ask()
        return got

    def idle(self, timeout_s: float, cause: str) -> None:
        """Stay a member of the group and read nothing: every partition waits at its committed offset for `place`."""
        if self._ours("flowing"):
            self.rewind(cause)
        self.collect(1, 1, timeout_s)

    def place(self, now_ms: int) -> None:
        """Set partitions that are due to their committed offsets, and let them flow.

        Never call it with an unanswered batch at hand: it raises RetriableError while the offset of a partition cannot
        be known, and the rows of the others, already read, would be lost with the batch.
        """
        if all(known.state in ("flowing", "waiting") for known in self._known.values()):
            return
        self._set_lacking_aside()
        try:
            for place, at in self.starts.find(self._group, self._due()):
                partition = self._known[place]
                partition.next, partition.metadata = at
                partition.on("found")
        finally:
            # One after the other: what flows now may not be set back if the next one fails.
            for place in self._ours("restoring"):
                self._begin(place, now_ms)

    def ask(self) -> None:
        """Let the logic say of each partition whether it may be read now."""
        if self._keeper is not None:
            self._set_back(
                [place for place in self._ours("flowing", "waiting") if self._keeper.outdated(place.partition)]
            )
        for place in self._ours("flowing", "waiting"):
            self._ask(place)

    def hold(self, holds: Iterable[Hold]) -> None:
        """The rows of these partitions in the last batch count as unread."""
        for hold in holds:
            self._wait(Place(hold.role, hold.partition), hold.reason)

    def stage(
        self, batches: Sequence[Batch], ends: Mapping[Place, int], marks: Mapping[Place, str]
    ) -> tuple[Sequence[Send], Mapping[Place, Committed]]:
        """What the transaction of these batches is to hold beside the answers: state, and offsets that tell of it.

        `ends` are the offsets to go on at, `marks` new metadata. A partition without a mark keeps the metadata it has.
        """
        offsets = {place: Committed(end, marks.get(place, self._known[place].metadata)) for place, end in ends.items()}
        return ([], offsets) if self._keeper is None else self._keeper.stage(batches, offsets)

    def silent(self, now_ms: int) -> tuple[object, dict[Place, int]]:
        """Where those stand whose state should be kept though nothing comes, and the membership to commit it as."""
        due = self._keeper.silent(now_ms) if self._keeper is not None else ()
        places = [place for place in self._ours("flowing", "waiting") if place.partition in due]
        return self._group.membership(), {place: self._known[place].next for place in places}

    def committed(self, offsets: Mapping[Place, Committed]) -> None:
        """These offsets were committed: they go on from here."""
        for place, at in offsets.items():
            self._known[place].next, self._known[place].metadata = at
        if self._keeper is not None:
            self._keeper.committed({place.partition for place in offsets})

    def rewind(self, cause: str) -> None:
        """Set every partition to its committed offset: not to a batch's first, which another owner may have passed."""
        self._set_back(self._ours("flowing"))
        self._counterparts.doubt()
        self._metrics.rewound(cause)
        self._log.info("rewinding", cause=cause)

    def expired(self, error: ExpiredError, *, skip: bool) -> None:
        """Records were deleted before we read them: stop, or leave a dead letter that says which and go on."""
        known = self._known.get(error.place)
        if error.place not in self._group.owned() or known is None or known.state == "arrived":
            return  # taken from us in the same poll, or not begun by us yet: whoever begins it will find out
        try:
            self.starts.pass_over(self._group, error, known.metadata, skip=skip)
        finally:
            # Started anew it goes on, or finds out again: also where the broker could not be asked just now.
            self.rewind("expired")

    def watch(self, now_ms: int) -> None:
        """Every few seconds: whether a topic was made anew (FatalError), what lacks by now, and what has come."""
        if not 0 <= now_ms - self._watched_ms < _WATCH_MS:
            self._watched_ms = now_ms
            self.starts.lives.watch()
            if self._keeper is not None:
                self._keeper.forget_all_but(place.partition for place in self._known)
            self._counterparts.look()
            placed = self._ours("restoring", "flowing", "waiting")
            self._set_back([place for place in placed if self._counterparts.lack(place)])
            for place in self._in("arrived"):
                self._known[place].why = (self._known[place].why and self._counterparts.lack(place)) or ""
            for place in self._idle.among({place: self._known[place].next for place in self._ours("flowing")}):
                self._logic.on_idle(*place)

    def close(self) -> None:
        """Leave the group (a fixed slot keeps its place)."""
        self._idle.close()
        if self.joined:
            self._group.close()

    def _in(self, *states: State) -> list[Place]:
        return sorted(place for place, known in self._known.items() if known.state in states)

    def _ours(self, *states: State) -> list[Place]:
        """Those of them that are still ours: a poll that failed may have hidden that some were taken."""
        owned = self._group.owned()
        return [place for place in self._in(*states) if place in owned]

    def _due(self) -> list[Place]:
        """The partitions whose offset is to be found, as soon as all that move with them are here too."""
        arrived = [place for place in self._ours("arrived") if not self._known[place].why]
        ready = {*arrived, *self._in("restoring", "flowing", "waiting")}
        return [place for place in arrived if self._partners(place) <= ready]

    def _begin(self, place: Place, now_ms: int) -> None:
        """Go on with this partition and its partners, once the offsets and the state of all of them are there."""
        partners = {partner: self._known[partner] for partner in sorted(self._partners(place))}
        if any(known.state == "arrived" for known in partners.values()) or not self._restored(partners, now_ms):
            return
        for partner, known in partners.items():
            if known.state == "restoring":
                self._logic.on_assign(*partner, StateMark.split(known.metadata)[0])
                self._ask(partner)

    def _restored(self, partners: Mapping[Place, Partition], now_ms: int) -> bool:
        """Go on for a step with restoring what belongs to these partitions; True once it is there."""
        if self._keeper is None or any(known.state != "restoring" for known in partners.values()):
            return True
        if any(known.why for known in partners.values()):
            return False
        committed = {place.role: Committed(known.next, known.metadata) for place, known in partners.items()}
        try:
            return self._keeper.ready(min(partners).partition, committed, now_ms)
        except StateFormatError as error:
            for partner, known in partners.items():
                known.why = str(error)
                self._log.error("state_of_another_release", place=partner, why=known.why)
            return False

    def _partners(self, place: Place) -> AbstractSet[Place]:
        """This partition and those that move with it."""
        roles = next((roles for roles in self._logic.together if place.role in roles), (place.role,))
        return {Place(role, place.partition) for role in roles}

    def _absorb(self, changes: Changes) -> None:
        if changes.revoked:
            self.starts.forget()
        for place in changes.revoked:
            self._known.pop(place, Partition()).on("revoked")
            self._logic.on_revoke(*place)
        self._set_back(changes.revoked)
        self._known.update((place, Partition()) for place in changes.assigned)
        self._metrics.rebalanced(len(self._group.owned()))
        self._log.info("rebalanced", revoked=changes.revoked, assigned=changes.assigned)

    def _set_lacking_aside(self) -> None:
        """Do not read what could not be answered, and let the rest flow."""
        for place in self._in("arrived"):
            if why := "" if self._known[place].why else self._counterparts.lack(place):
                self._known[place].why = why
                self._log.error("no_counterpart", place=place, why=why)

    def _set_back(self, places: Iterable[Place]) -> None:
        """These, and all that move with them."""
        for partner in {partner for place in places for partner in self._partners(place)} & self._known.keys():
            if (partition := self._known[partner]).state != "arrived":
                self._group.pause(partner)
                partition.on("rewound")
                partition.why = ""

    def _ask(self, place: Place) -> None:
        why = self._logic.waits(*place)
        if why:
            self._wait(place, why)
        elif self._known[place].state != "flowing":
            self._group.start(place, self._known[place].next)
            self._known[place].on("flows")
            self._known[place].why = ""

    def _wait(self, place: Place, why: str) -> None:
        partition = self._known[place]
        if partition.state == "flowing":
            self._group.pause(place)
        if partition.state != "waiting":
            self._log.info("waiting", place=place, why=why)
        partition.on("waits")
        partition.why = why
