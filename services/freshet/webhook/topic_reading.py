"""A member of the bridge's consumer group: fills the lines of its partitions, and commits how far they are done."""

from collections.abc import Callable
from typing import Final

import structlog

from freshet.contracts.batch import Batch
from freshet.contracts.topic_table import TopicNames
from freshet.runtime.bus.protocol import Bus, Committed, ExpiredError, FatalError, Place, Transaction
from freshet.webhook.core.delivery import RecordPlace, delivery_of, is_wanted
from freshet.webhook.place_note import PlaceNote
from freshet.webhook.topic_line import TopicLine

NAME: Final = "webhook"
_READ_ROWS: Final = 200
_READ_BYTES: Final = 4 << 20
_ASK_S: Final = 10.0


class TopicReading:
    """`lines` are those of the partitions that are ours now. A partition rests while records of it wait."""

    def __init__(
        self,
        bus: Bus,
        names: TopicNames,
        roles: tuple[str, ...],
        wanted: frozenset[str],
        note: PlaceNote,
        *,
        began_at_end: Callable[[str], object],
        slot: str,
        fixed: bool,
    ) -> None:
        """Joins the group; `began_at_end` is told the kind of records of which nobody knows any more what was sent.

        Raises RetriableError, FatalError.
        """
        self.lines: dict[Place, TopicLine] = {}
        self._topic_ids: dict[str, str] = {}
        self._bus, self._names, self._wanted, self._note, self._began_at_end = bus, names, wanted, note, began_at_end
        self._log = structlog.get_logger(NAME)
        self._producer = bus.transactional_producer(NAME, slot)
        self._producer.open()
        self._group = bus.consumer(NAME, roles, f"{NAME}-{slot}" if fixed else None)

    def read(self, wait_s: float, *, skip_expired: bool) -> None:
        """Follow the group's rebalances, and let what has come join the lines. Raises RetriableError, FatalError."""
        try:
            got = self._group.collect(_READ_ROWS, _READ_BYTES, wait_s)
        except ExpiredError as error:
            self._follow()
            if error.place in self.lines:
                self._pass_over(self.lines[error.place], error, skip=skip_expired)
            return
        self._follow()
        if got is None:
            return
        for batch in () if got.interrupted else got.batches:
            self._join(batch)
        if got.interrupted:  # what was read is dropped, and read again
            for line in self.lines.values():
                self.go_on(line)

    def place(self) -> None:
        """Find where new partitions begin, and read them from there. Raises RetriableError, FatalError."""
        new = [place for place in sorted(self._group.owned()) if place not in self.lines]
        if not new:
            return
        known = self._group.committed(new, _ASK_S)
        for place in new:
            self._topic_ids[place.role] = self._bus.topic_id(place.role)
            at = known[place]
            line = TopicLine(place, self._not_committed(place) if at is None else at.offset)
            self.lines[place] = line
            self._log.info("reading", topic=self._names.topic(place.role), offset=line.position)
            self.go_on(line)

    def commit(self, line: TopicLine) -> None:
        """Commit how far it is done. Raises RetriableError, FatalError, RefusedError: try again after the next read."""
        self._commit(line.place, line.position)
        line.committed = line.position
        if line.first is None:
            self.go_on(line)

    def go_on(self, line: TopicLine) -> None:
        """Read more of it, unless records of it wait."""
        if line.first is None:
            self._group.start(line.place, line.position)

    def close(self) -> None:
        """Leave the group."""
        self._group.close()
        self._producer.close()

    def _follow(self) -> None:
        for place in self._group.take_changes().revoked:
            line = self.lines.pop(place, None)
            if line is not None:
                line.leave()

    def _join(self, batch: Batch) -> None:
        """Let its records join their lines, and the partitions rest until these are done."""
        topic = self._names.topic(batch.role)
        read_to: dict[Place, int] = {}
        for row, value in enumerate(batch.values):
            place, offset = Place(batch.role, int(batch.partitions[row])), int(batch.offsets[row])
            line = self.lines.get(place)
            if line is None:
                continue
            source = RecordPlace(batch.role, topic, place.partition, offset, int(batch.timestamps_ms[row]))
            delivery = delivery_of(source, value)
            line.join([delivery] if is_wanted(delivery, self._wanted) else [], offset + 1)
            read_to[place] = offset + 1
        for place in read_to:
            if self.lines[place].first is not None:
                self._group.pause(place)

    def _not_committed(self, place: Place) -> int:
        """Where to begin when Kafka knows no offset: where our note says, else at the end as of now.

        Committed at once: what comes from there on is sent, also if this process dies.
        """
        noted, end = self._note.offset(self._topic_ids[place.role], place.partition), self._group.span(place).end
        offset = end if noted is None else noted
        self._commit(place, offset)
        topic = self._names.topic(place.role)
        if noted is None:
            why = "nothing says what this bridge has sent of it: it sends what is written from now on, nothing older"
            self._log.warning("first_start", topic=topic, offset=offset, why=why)
            self._began_at_end(place.role)
        else:
            why = "Kafka no longer knows the committed offset: the note beside the dead-letter file does"
            self._log.warning("offset_from_note", topic=topic, offset=offset, end=end, why=why)
        return offset

    def _commit(self, place: Place, offset: int) -> None:
        self._producer.commit(Transaction(offsets={place: Committed(offset)}, membership=self._group.membership()))
        self._note.put(self._topic_ids[place.role], place.partition, offset)

    def _pass_over(self, line: TopicLine, error: ExpiredError, *, skip: bool) -> None:
        """Records expired before they were sent: raise FatalError, or go on at what is left."""
        span = self._group.span(line.place)
        if span.low <= error.position <= span.high:
            self.go_on(line)  # a new leader did not know its end yet
            return
        lost = f"{error} The topic holds {span.low} to {span.end}"
        if not skip:
            raise FatalError(
                f"{lost}: records expired before they were sent, or the topic was made anew. Start with --on-expired "
                "skip to go on at what is left."
            ) from error
        self._log.error("expired", detail=lost)
        line.leave()
        self.lines[line.place] = left = TopicLine(line.place, span.low)
        self.go_on(left)
