"""Dead letters: what there are, and sending events that were set aside through the pipeline once more."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from freshet.cli.records import headers_of
from freshet.contracts.batch import Record
from freshet.runtime import dead_letters
from freshet.runtime.bus import Bus, Place, Producer, Send
from freshet.runtime.reading import everything

REDRIVE_OF: Final = "redrive_of"
"""Header of a redriven event: topic/partition/offset of the event that was set aside."""

_SEND_ROWS: Final = 1000


@dataclass(frozen=True, slots=True)
class DeadRecord:
    """One dead letter: the original key and value, and the context that its headers carry."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, str]

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
    def original(self) -> str:
        """topic/partition/offset of that record."""
        return "/".join(self.headers.get(f"freshet.{name}", "?") for name in ("topic", "partition", "offset"))

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
    for batch in everything(bus, dead_letters.ROLE, starts):
        yield from (record for row in batch.records if (record := _dead_record(row)) in wanted)


def groups(records: Iterator[DeadRecord]) -> list[Group]:
    """The records by reason, the most frequent first."""
    found: dict[str, Group] = {}
    for record in records:
        group = found.setdefault(record.reason, Group(record.reason, first_ms=record.timestamp_ms))
        group.count += 1
        group.first_ms = min(group.first_ms, record.timestamp_ms)
        if record.timestamp_ms >= group.last_ms:
            group.last_ms, group.example = record.timestamp_ms, record.detail
            group.place = f"{record.partition}/{record.offset}"
    return sorted(found.values(), key=lambda group: (-group.count, group.reason))


def redrive(bus: Bus, wanted: Wanted, producer: Producer | None) -> Redriven:
    """Publish the wanted events again, bytes untouched, each to its own partition; without a producer, only count.

    An event is never sent twice, however often this is called, though two calls at the same time could: it reads the
    headers of all events behind the first one that was set aside, which takes a while on a large topic. Raises
    RetriableError or FatalError; what was sent before stays sent, and is skipped by the next call.
    """
    done = Redriven()
    already = _redriven(bus, _earliest(bus, wanted))
    some: list[DeadRecord] = []
    for record in dead_records(bus, wanted):
        if record.role != "events":
            done.others += 1
        elif not record.whole:
            done.not_whole += 1
        elif record.original in already:
            done.already += 1
        else:
            already.add(record.original)
            some.append(record)
        if len(some) == _SEND_ROWS:
            _send(producer, some, done)
            some = []
    _send(producer, some, done)
    return done


def _send(producer: Producer | None, records: list[DeadRecord], done: Redriven) -> None:
    if producer is not None and records:
        producer.send(
            Send(
                "events",
                [record.key for record in records],
                [record.value for record in records],
                [record.partition for record in records],  # dead letters keep their event's partition
                [[(REDRIVE_OF, record.original.encode())] for record in records],
            )
        )
    done.sent += len(records)
    done.places += [record.original for record in records]


def _earliest(bus: Bus, wanted: Wanted) -> dict[Place, int]:
    """Where in the events topic a redriven copy of a wanted event can first be."""
    starts: dict[Place, int] = {}
    for record in dead_records(bus, wanted):
        offset = record.headers.get("freshet.offset", "")
        if record.role == "events" and offset.isdigit():
            place = Place("events", record.partition)
            starts[place] = min(starts.get(place, int(offset) + 1), int(offset) + 1)
    return starts


def _redriven(bus: Bus, starts: Mapping[Place, int]) -> set[str]:
    """What has been redriven already, by the header of its copies."""
    batches = everything(bus, "events", starts) if starts else ()
    headers = (headers_of(record.headers()) for batch in batches for record in batch.records)
    return {found[REDRIVE_OF] for found in headers if REDRIVE_OF in found}


def _dead_record(record: Record) -> DeadRecord:
    return DeadRecord(
        record.partition(),
        record.offset(),
        record.timestamp()[1],
        record.key(),
        record.value(),
        headers_of(record.headers()),
    )
