"""Dead letters: what there are, and sending events that were set aside through the pipeline once more."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from freshet.contracts.batch import Headers, Record, read_headers
from freshet.contracts.headers import ARRIVED_MS, REDRIVE_OF, arrived_ms, whole_number
from freshet.operate.operate_error import OperateError
from freshet.operate.records import headers_of
from freshet.runtime import dead_letter_records
from freshet.runtime.bus.protocol import Bus, Place, Send, Transaction, TransactionalProducer
from freshet.runtime.interrupts import interrupts_held
from freshet.runtime.reading import everything

_SEND_ROWS: Final = 1000
_SLOT: Final = "redrive"
_VALUE: Final = re.compile(r"""(?<!key )(?<!field )(?<!feature )(?<!column )('[^']*'|"[^"]*")""")
_NUMBER: Final = re.compile(r"\d[\d.,]*")
_MOST_KINDS: Final = 1000


@dataclass(frozen=True, slots=True)
class DeadRecord:
    """One dead letter: the original key and value, and the context that its headers carry."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, str]
    raw_headers: Headers = ()

    @property
    def reason(self) -> str:
        """Why it was set aside, as a code."""
        return self.headers.get("freshet.reason", "unknown")

    @property
    def detail(self) -> str:
        """Why, as a sentence."""
        return self.headers.get("freshet.detail", "")

    @property
    def role(self) -> str:
        """The role of the topic that the record was read from."""
        return self.headers.get("freshet.role", "")

    @property
    def model_version(self) -> str:
        """The model version that had no answer to the record; empty if none was asked."""
        return self.headers.get(dead_letter_records.MODEL_VERSION, "")

    @property
    def original(self) -> str:
        """topic/partition/offset of that record."""
        return "/".join(self.headers.get(f"freshet.{name}", "?") for name in ("topic", "partition", "offset"))

    @property
    def source(self) -> dead_letter_records.Source:
        """That record, and no other that had the same place in an earlier life of its topic."""
        return dead_letter_records.Source(self.original, dead_letter_records.topic_id_of(self.raw_headers))

    @property
    def carried(self) -> list[tuple[str, bytes | None]]:
        """What a copy of the record carries: its producer's headers, which event it repeats, and when that arrived.

        A copy that was set aside again keeps the time at which the first one arrived. A time that is no number is not
        handed on.
        """
        ours = {REDRIVE_OF, ARRIVED_MS}
        producers = dead_letter_records.producers_headers(self.raw_headers)
        first_ms = arrived_ms(producers)
        if first_ms is None:
            first_ms = whole_number(self.headers.get("freshet.timestamp_ms", "").encode())
        return [
            *(header for header in producers if header[0] not in ours),
            (REDRIVE_OF, self.original.encode()),
            *([] if first_ms is None else [(ARRIVED_MS, str(first_ms).encode())]),
        ]

    @property
    def whole(self) -> bool:
        """Whether this is all of one record: not cut for its size, nor a note that records expired unread."""
        return "freshet.topic" in self.headers and "freshet.truncated" not in self.headers


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dead letters are meant: by reason (empty for all), and not older than a time."""

    reason: str = ""
    since_ms: int = 0

    def __contains__(self, record: DeadRecord) -> bool:
        return self.reason in ("", record.reason) and record.timestamp_ms >= self.since_ms


@dataclass(slots=True)
class Group:
    """The dead letters of one reason."""

    reason: str
    count: int = 0
    first_ms: int = 0
    last_ms: int = 0
    example: str = ""
    place: str = ""
    """partition/offset of the newest one, for `show`."""
    kinds: set[str] = field(default_factory=set)
    """Their sentences, without what differs from event to event: numbers, and what stands in quotes."""


@dataclass(slots=True)
class Redriven:
    """What a redrive did, or would do."""

    sent: int = 0
    already: int = 0
    """Sent by an earlier redrive."""
    not_whole: int = 0
    """Cut, or expired unread: there is nothing to send again."""
    others: int = 0
    """Not events: feedback or features that were set aside."""
    places: list[str] = field(default_factory=list)
    """Of the events that were sent, topic/partition/offset."""


def dead_records(bus: Bus, wanted: Wanted, starts: Mapping[Place, int] | None = None) -> Iterator[DeadRecord]:
    """The wanted dead letters, each partition's in order. Blocks for all that the topic holds now."""
    for batch in everything(bus, dead_letter_records.ROLE, starts):
        letters = (
            dead_record(row) for row in batch.records if dead_letter_records.receipt_of(read_headers(row)) is None
        )
        yield from (letter for letter in letters if letter in wanted)


def groups(records: Iterator[DeadRecord], *, by_sentence: bool = False) -> list[Group]:
    """The records by reason, or also by kind of sentence; the most frequent first."""
    found: dict[tuple[str, str], Group] = {}
    for record in records:
        kind = _kind_of(record.detail) if len(found) < _MOST_KINDS else ""
        key = (record.reason, kind if by_sentence else "")
        group = found.setdefault(key, Group(record.reason, first_ms=record.timestamp_ms))
        if len(group.kinds) < _MOST_KINDS:
            group.kinds.add(kind)
        group.count += 1
        group.first_ms = min(group.first_ms, record.timestamp_ms)
        if record.timestamp_ms >= group.last_ms:
            group.last_ms, group.example = record.timestamp_ms, record.detail
            group.place = f"{record.partition}/{record.offset}"
    return sorted(found.values(), key=lambda group: (-group.count, group.reason, group.example))


def _kind_of(detail: str) -> str:
    """A sentence without its numbers and its values; the names of fields, which are words in quotes, stay."""
    return _NUMBER.sub("0", _VALUE.sub("''", detail))


def letter_at(bus: Bus, text: str) -> DeadRecord:
    """The dead letter at a place, given as partition/offset. Raises OperateError if there is none."""
    partition, offset = (whole_number(part.encode(errors="replace")) for part in text.partition("/")[::2])
    if partition is None or offset is None:
        raise OperateError(f"{text!r} is not a place; write partition/offset, such as 3/120.", "usage")
    place = Place(dead_letter_records.ROLE, partition)
    span = bus.spans(place.role).get(place.partition)
    if span is not None and span.low <= offset < span.end:
        for record in dead_records(bus, Wanted(), {place: offset}):
            if record.offset == offset:
                return record
            break
    raise OperateError(f"there is no dead letter at {text}; `freshet dead-letters list` shows places.", "failed")


def check_reason(bus: Bus, reason: str) -> None:
    """Raise OperateError if nothing was set aside for it: most likely it is misspelt."""
    there = [group.reason for group in groups(dead_records(bus, Wanted()))]
    if reason not in there:
        known = f"there are {', '.join(there)}" if there else "there is no dead letter at all"
        raise OperateError(f"no dead letter has the reason {reason!r}; {known}.", "failed")


def redrive(bus: Bus, wanted: Wanted, *, dry_run: bool = False) -> Redriven:
    """Publish the wanted events again, bytes and headers untouched, each to its own partition.

    An event is never sent twice, however often and by however many this is called: each copy becomes visible in one
    transaction with a receipt on the dead-letters topic, which is kept as long as the letter itself, and whoever comes
    second is fenced. With `dry_run` it only counts. Raises RetriableError, RefusedError or FatalError; what was sent
    before stays sent, and is skipped by the next call.
    """
    if dry_run:
        return _send_all(bus, wanted, None)
    producer = bus.transactional_producer("cli", _SLOT, reopen=False)
    try:
        producer.open()  # before the receipts are read: nobody else can write one any more
        return _send_all(bus, wanted, producer)
    finally:
        producer.close()


def _send_all(bus: Bus, wanted: Wanted, producer: TransactionalProducer | None) -> Redriven:
    done = Redriven()
    already = _receipts(bus)
    some: list[DeadRecord] = []
    for record in dead_records(bus, wanted):
        if record.role != "events":
            done.others += 1
        elif not record.whole:
            done.not_whole += 1
        elif record.source in already:
            done.already += 1
        else:
            already.add(record.source)
            some.append(record)
        if len(some) == _SEND_ROWS:
            _send(producer, some, done)
            some = []
    _send(producer, some, done)
    return done


def _send(producer: TransactionalProducer | None, records: list[DeadRecord], done: Redriven) -> None:
    if producer is not None and records:
        partitions = [record.partition for record in records]  # dead letters keep their event's partition
        copies = Send(
            "events",
            [record.key for record in records],
            [record.value for record in records],
            partitions,
            [record.carried for record in records],
        )
        receipts = dead_letter_records.receipts([record.source for record in records], partitions)
        with interrupts_held():
            producer.commit(Transaction([copies, receipts]))
    done.sent += len(records)
    done.places += [record.original for record in records]


def _receipts(bus: Bus) -> set[dead_letter_records.Source]:
    """What has been redriven already."""
    records = (record for batch in everything(bus, dead_letter_records.ROLE) for record in batch.records)
    found = (dead_letter_records.receipt_of(read_headers(record)) for record in records)
    return {source for source in found if source is not None}


def dead_record(record: Record) -> DeadRecord:
    """The dead letter that this record of the dead-letters topic is."""
    return DeadRecord(
        record.partition(),
        record.offset(),
        record.timestamp()[1],
        record.key(),
        record.value(),
        headers_of(read_headers(record)),
        read_headers(record),
    )
