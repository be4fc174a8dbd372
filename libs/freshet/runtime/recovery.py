"""Where a partition without a usable committed offset starts: after our last answer, else at the beginning.

Committed offsets get lost: the broker forgets idle groups, operators reset them, topics are made anew. Starting over
then would answer the whole retention twice. Our own outputs name the input position of each answer, so their last
records show how far we got. The cut-overs give the position in history.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from freshet.avro import Strings
from freshet.avro.control import decode
from freshet.avro.framed import FramedReader
from freshet.contracts.batch import Batch, read_headers
from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Cutover
from freshet.contracts.position import ORIGIN, Position
from freshet.contracts.topic_id import UNKNOWN_BYTES, to_bytes
from freshet.runtime import dead_letter_records
from freshet.runtime.bus.protocol import Bus, Committed, Place
from freshet.runtime.state.state_mark import LOST, StateMark
from freshet.runtime.summaries import Summary, Summed

STEP_ROWS: Final = 5_000
"""The most records that are read in a step. Between steps the loop turns, so that it stays a member of its group."""

_WAIT_S: Final = 0.05
_MAX_BYTES: Final = 4 << 20
_TAIL_OFFSETS: Final = 100
_FIRST_WINDOW_MS: Final = 120_000
_WIDER: Final = 4
# Records of one transaction may be so far apart: as long as it may last, and as brokers' clocks may differ.
_SLACK_MS: Final = 60_000
_CUTOVERS: Final = "cutovers"
_LANE: Final = "serve"


@dataclass(frozen=True, slots=True)
class InputReference:
    """How records of an output topic name the input record that they answer."""

    output: str
    record: str
    input: str
    partition: str
    offset: str
    topic: str
    with_position: bool = False
    """True if the record carries epoch and fallback, which become the offset's metadata."""


Clue = InputReference | Summary
"""How an output tells which inputs are answered."""


@dataclass(slots=True)
class _Found:
    """The last answer to a partition: the offset after it, when it was written, and the position in history."""

    offset: int
    at_ms: int
    position: Position = ORIGIN


class Recovery:
    """Searches the outputs backwards in time, all partitions at once, until each has an answer or can have none.

    Answers that name another topic id do not count; those that name none (an older release wrote them) do. Anybody may
    write to the dead-letters topic, so a letter without a topic id does not count if it names a record beyond the end.
    """

    def __init__(
        self,
        bus: Bus,
        references: Sequence[Clue],
        pipeline: str,
        places: Collection[Place],
        topic_ids: Mapping[str, str],
    ) -> None:
        """`topic_ids` are those of the roles of `places`, as of now."""
        self.places = frozenset(places)
        self.waits = ""
        """Why it cannot go on for now; empty when it can."""
        self.passed_over: dict[Place, int] = {}
        """By place, the last offset that dead letters without a topic id name beyond the topic's end."""
        roles = {place.role for place in places}
        self._bus, self._pipeline, self._topic_ids = bus, pipeline, topic_ids
        self._references = {
            clue.output: clue for clue in references if isinstance(clue, InputReference) and clue.input in roles
        }
        self._summaries = {clue.output: clue for clue in references if isinstance(clue, Summary)}
        self._newest: dict[int, Summed] = {}
        self._readers = {
            output: FramedReader.of(reference.record, max_bytes=_MAX_BYTES)
            for output, reference in self._references.items()
        }
        self._found: dict[Place, _Found] = {}
        self._newest_ms = 0
        self._work = self._search()

    def step(self) -> bool:
        """Search for some milliseconds; True once `found` may be asked. After a RetriableError, begin anew."""
        rows = 0
        for read in self._work:
            rows += read
            if not read or rows >= STEP_ROWS:
                return False
        return True

    def found(self, place: Place) -> Committed | None:
        """The position after the last answer that we published for this partition; None if there is none."""
        found = self._found.get(place)
        if found is None:
            return None
        if place.partition in self._newest:
            return Committed(found.offset, self._newest[place.partition].metadata)
        return Committed(found.offset, found.position.metadata() if found.position > ORIGIN else "")

    def metadata(self, place: Place) -> str:
        """What our newest answer says of this partition, also where its topic was made anew since."""
        newest = self._newest.get(place.partition)
        return "" if newest is None else newest.metadata

    def mark(self, place: Place) -> StateMark | None:
        """What is known of the state behind `found`; None if it rested on a topic that was made anew since."""
        newest = self._newest.get(place.partition)
        return LOST if newest is None else newest.mark(place.role, self._topic_ids)

    def _search(self) -> Iterator[int]:
        """Each item is how many records were read, 0 when there is something to wait for."""
        outputs = [*self._references, *self._summaries, dead_letter_records.ROLE]
        spans = {Place(role, n): span for role in outputs for n, span in self._bus.spans(role).items()}
        spans = {place: span for place, span in spans.items() if span.low < span.high}
        if any(reference.with_position for reference in self._references.values()):
            yield from self._until_settled({_CUTOVERS: {n: s.high for n, s in self._bus.spans(_CUTOVERS).items()}})
            yield from self._read([_CUTOVERS], None, self._take_cutovers)
        if not spans:
            return
        highs: dict[str, dict[int, int]] = {}
        for place, span in spans.items():
            highs.setdefault(place.role, {})[place.partition] = span.high
        yield from self._until_settled(highs)
        tails = {place: max(span.low, span.high - _TAIL_OFFSETS) for place, span in spans.items()}
        yield from self._read(outputs, tails, self._take_time)
        yield from self._widen(outputs, {place: span.low for place, span in spans.items()})

    def _until_settled(self, highs: Mapping[str, Mapping[int, int]]) -> Iterator[int]:
        """Wait until no transaction from before is open: an answer in an open one cannot be seen."""
        for role, partitions in highs.items():
            while True:
                spans = self._bus.spans(role)
                hidden = [n for n, high in partitions.items() if n in spans and spans[n].end < high]
                if not hidden:
                    break
                self.waits = (
                    f"{role}/{hidden[0]} has an open transaction, behind which answers may lie: waiting for its end. "
                    "If it does not end, `freshet doctor` names it."
                )
                yield 0
        self.waits = ""

    def _widen(self, outputs: Sequence[str], lows: Mapping[Place, int]) -> Iterator[int]:
        window_ms, before = _FIRST_WINDOW_MS, None
        while True:
            since_ms = max(0, self._newest_ms - window_ms)
            found = {role: self._bus.offsets_at(role, since_ms) for role in outputs}
            at = {Place(role, n): offset for role, offsets in found.items() for n, offset in offsets.items()}
            starts = {place: max(low, at.get(place, low)) for place, low in lows.items()}
            if starts != before:
                yield from self._read(outputs, starts, self._take_answers)
            missing = {place for place in self.places if not self._is_known(place, since_ms + _SLACK_MS)}
            if not self._may_be_older(missing, since_ms + _SLACK_MS) or not since_ms:
                return  # since_ms, and not the offsets: a log whose first records were aborted never gives its low
            window_ms, before = window_ms * _WIDER, starts

    def _is_known(self, place: Place, since_ms: int) -> bool:
        found = self._found.get(place)
        return found is not None and found.at_ms >= since_ms

    def _may_be_older(self, places: Collection[Place], since_ms: int) -> bool:
        """Whether any of these inputs holds a record from before that time: its answer may be older too."""
        for role in {place.role for place in places}:
            spans, firsts = self._bus.spans(role), self._bus.offsets_at(role, since_ms)
            numbers = [place.partition for place in places if place.role == role and place.partition in spans]
            if any(firsts.get(number, 0) > spans[number].low for number in numbers):
                return True
        return False

    def _read(
        self, roles: Sequence[str], starts: Mapping[Place, int] | None, take: Callable[[Batch], None]
    ) -> Iterator[int]:
        reader = self._bus.reader(roles, starts)
        try:
            while not reader.caught_up():
                batches = reader.read(STEP_ROWS, _WAIT_S)
                for batch in batches:
                    take(batch)
                if batches or not reader.caught_up():
                    yield sum(map(len, batches))
        finally:
            reader.close()

    def _take_time(self, batch: Batch) -> None:
        self._newest_ms = max(self._newest_ms, batch.now_ms)

    def _take_cutovers(self, batch: Batch) -> None:
        for value in batch.values:
            try:
                cut = decode(batch.role, value) if value is not None else None
            except ContractError:
                continue  # a stranger's
            if not isinstance(cut, Cutover) or (cut.pipeline, cut.lane) != (self._pipeline, _LANE):
                continue
            for reference in self._references.values():
                place = Place(reference.input, cut.partition)
                if (
                    reference.with_position
                    and place in self.places
                    and cut.topic_id == self._topic_ids[reference.input]
                ):
                    self._fold(place, cut.first_offset + 1, 0, Position(cut.epoch, cut.fallback))

    def _take_answers(self, batch: Batch) -> None:
        if batch.role == dead_letter_records.ROLE:
            self._take_letters(batch)
            return
        if batch.role in self._summaries:
            self._take_summaries(batch)
            return
        reference = self._references[batch.role]
        rows = self._readers[batch.role].read(batch.values)
        topics = rows.columns[reference.topic]
        assert isinstance(topics, Strings)
        ours = {to_bytes(self._topic_ids[reference.input]), UNKNOWN_BYTES}
        known = np.array([topic in ours for topic in topics.tobytes()], np.bool_)
        partitions, offsets = np.asarray(rows.columns[reference.partition]), np.asarray(rows.columns[reference.offset])
        times = batch.timestamps_ms[rows.at]
        for number in np.unique(partitions[known]).tolist():
            at = np.flatnonzero(known & (partitions == number))
            last = at[int(offsets[at].argmax())]
            position = ORIGIN
            if reference.with_position:
                position = Position(*(int(np.asarray(rows.columns[name])[last]) for name in ("epoch", "fallback")))
            self._fold(Place(reference.input, number), int(offsets[last]) + 1, int(times[last]), position)

    def _take_summaries(self, batch: Batch) -> None:
        for value, at_ms in zip(batch.values, batch.timestamps_ms.tolist(), strict=True):
            try:
                summed = self._summaries[batch.role].read(decode(batch.role, value)) if value is not None else None
            except ContractError:
                continue  # a stranger's
            if summed is None or summed.pipeline != self._pipeline:
                continue
            self._newest[summed.partition] = summed  # such an output has one partition, and is read to its end
            for role, offset in summed.inputs.items():
                if summed.is_of(role, self._topic_ids):
                    self._fold(Place(role, summed.partition), offset, at_ms, ORIGIN)

    def _take_letters(self, batch: Batch) -> None:
        if self._summaries:
            return  # they tell all, and another service may have set the same records aside
        highs: dict[Place, int] = {}
        for record, at_ms in zip(batch.records, batch.timestamps_ms.tolist(), strict=True):
            headers = read_headers(record)
            origin = dead_letter_records.origin(headers)
            if origin is None or Place(*origin[:2]) not in self.places:
                continue
            place, offset, topic_id = Place(*origin[:2]), origin[2], dead_letter_records.topic_id_of(headers)
            if topic_id not in {"", self._topic_ids[place.role]}:
                continue
            if not topic_id and place not in highs:  # asked after the letter was read: what it stands for was there
                highs |= {Place(place.role, n): span.high for n, span in self._bus.spans(place.role).items()}
            if not topic_id and offset >= highs.get(place, 0):
                self.passed_over[place] = max(offset, self.passed_over.get(place, 0))
            else:
                self._fold(place, offset + 1, at_ms, ORIGIN)

    def _fold(self, place: Place, offset: int, at_ms: int, position: Position) -> None:
        if place not in self.places:
            return
        found = self._found.setdefault(place, _Found(offset, at_ms, position))
        found.offset, found.at_ms = max(found.offset, offset), max(found.at_ms, at_ms)
        found.position = max(found.position, position)
