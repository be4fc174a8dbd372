"""At which offset a partition goes on: the committed one if it is ours, else behind our last answer, else the first."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

import structlog

from freshet.contracts.errors import ContractError
from freshet.contracts.logic import Logic
from freshet.contracts.position import Position, unstamped
from freshet.contracts.stateful import Stateful
from freshet.runtime.bus.protocol import (
    Bus,
    Committed,
    ExpiredError,
    FatalError,
    GroupConsumer,
    Place,
    RefusedError,
    Transaction,
    TransactionalProducer,
)
from freshet.runtime.dead_letter_records import expired_letter
from freshet.runtime.lives import Lives
from freshet.runtime.recovery import Clue, Recovery
from freshet.runtime.start_offsets import checked, lost_end
from freshet.runtime.state.state_mark import StateMark

_COMMITTED_TIMEOUT_S: Final = 1.0


class Starts:
    """Finds where partitions go on. A start that we have not committed is committed before the first row is read."""

    def __init__(
        self,
        logic: Logic,
        bus: Bus,
        producer: TransactionalProducer,
        *,
        references: Sequence[Clue],
        pipeline: str,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._bus, self._producer, self._references, self._pipeline = bus, producer, references, pipeline
        self._origin, self._stateful, self._log = logic.origin, isinstance(logic, Stateful), log
        self.lives = Lives(bus, logic.reads, logic.on_topic, logic.looks_up)
        """The input topics' ids: what was read is answered under them, or not at all."""
        self._recovery: Recovery | None = None

    @property
    def waits(self) -> str | None:
        """What is searched for, while committed offsets are lost; None when nothing is."""
        if self._recovery is None:
            return None
        searched = f"{len(self._recovery.places)} partitions search the answers for where they go on"
        return self._recovery.waits or f"{searched}: their committed offsets are lost, or not ours."

    def forget(self) -> None:
        """Drop a search that is under way: others may answer before these partitions are ours again."""
        self._recovery = None

    def find(self, group: GroupConsumer, places: Collection[Place]) -> Iterator[tuple[Place, Committed]]:
        """Where these partitions go on, as far as it is known by now. Raises RetriableError, FatalError."""
        if not places:
            self._recovery = None
            return
        self.lives.learn({place.role for place in places})
        lost: dict[Place, Committed | None] = {}
        for place, known in group.committed(sorted(places), _COMMITTED_TIMEOUT_S).items():
            at, usable = self._understood(place, known)
            if at is not None and usable:
                yield place, at
            else:
                lost[place] = at
        yield from self._recovered(group, lost).items()

    def pass_over(self, group: GroupConsumer, error: ExpiredError, metadata: str, *, skip: bool) -> None:
        """Records expired unread: raise FatalError, or leave a dead letter that says which, and commit what is left."""
        self.lives.learn({error.place.role})
        place, span = error.place, group.span(error.place)
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
        self._log.error("expired", place=place, detail=detail)
        letter = expired_letter(place, span.low, detail, self.lives.known[place.role])
        at = self.lives.stamped({place: Committed(span.low, metadata)})
        try:
            self._producer.commit(Transaction([letter], at, group.membership()))
        except RefusedError as refused:
            self._log.warning("refused", error=str(refused))

    def _understood(self, place: Place, known: Committed | None) -> tuple[Committed | None, bool]:
        """A committed offset without its stamp, and whether we may go on from it as it is.

        One with the id of an earlier topic means nothing. One without a stamp, or with the stamp of another offset, was
        set by a tool or by an older release: our own outputs must confirm it.
        """
        if known is None:
            return None, False
        metadata, topic_id, moved = unstamped(known.metadata, known.offset)
        if topic_id and topic_id != self.lives.known[place.role]:
            self._log.warning("offset_of_an_earlier_topic", place=place, committed=known)
            return None, False
        if moved or not (topic_id or _may_be_ours(metadata)):
            self._log.warning("offset_set_by_another_program", place=place, committed=known)
            return Committed(known.offset), False
        return Committed(known.offset, metadata), bool(topic_id and (metadata or not self._origin))

    def _recovered(self, group: GroupConsumer, lost: Mapping[Place, Committed | None]) -> dict[Place, Committed]:
        """Where partitions without a usable committed offset start, once found and committed; empty until then."""
        if not lost:
            self._recovery = None
            return {}
        if self._recovery is None or self._recovery.places != lost.keys():
            self._recovery = Recovery(self._bus, self._references, self._pipeline, lost.keys(), self.lives.known)
        search, self._recovery = self._recovery, None  # whatever goes wrong, it begins anew
        if not search.step():
            self._recovery = search
            return {}
        for place, offset in search.passed_over.items():
            self._log.warning("dead_letter_of_no_record", place=place, offset=offset, why="it lies beyond the end")
        starts = {}
        for place, known in lost.items():
            answered = search.found(place)
            offset, said = checked(place, known, answered, group.span(place), self._origin)
            starts[place] = Committed(offset, said or search.metadata(place))
            if self._stateful and answered is not None and StateMark.split(starts[place].metadata)[1] is None:
                mark = search.mark(place)
                if mark is not None:
                    starts[place] = Committed(offset, mark.beside(starts[place].metadata))
            self._log.info("starting", place=place, committed=known, start=starts[place])
        try:
            # Before the first poll, so that a crash cannot move the start. With the membership of now, not of when the
            # search began; it is not too new, since what we own goes to nobody before a callback has told us.
            self._producer.commit(Transaction(offsets=self.lives.stamped(starts), membership=group.membership()))
        except RefusedError as error:
            self._log.info("start_refused", error=str(error))
            return {}
        return starts


def _may_be_ours(unstamped_text: str) -> bool:
    """Whether an older release may have committed this: it wrote no stamp, but positions and marks of state."""
    metadata, _ = StateMark.split(unstamped_text)
    if metadata:
        try:
            Position.parse(metadata)
        except ContractError:
            return False
    return True
