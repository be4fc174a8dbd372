"""State records: what a logic kept of one partition, as its state topic holds it."""

import hashlib
from collections.abc import Container, Iterable, Mapping, Sequence

import structlog

from freshet.avro.control import decode, encode
from freshet.contracts.batch import Batch
from freshet.contracts.errors import ContractError, NewerRecordError
from freshet.contracts.state_messages import StateRange, StateRecord
from freshet.contracts.stateful import Checkpoint, Slabs, StateFormatError, Stateful
from freshet.runtime.bus.protocol import Place, Send
from freshet.runtime.state.frames import Frame
from freshet.runtime.state.state_mark import StateMark, lives_of

_log = structlog.get_logger("state")


def sent(kept: Checkpoint | Slabs, records: Iterable[StateRecord], lives: str) -> list[Send]:
    """The records as they are written: a checkpoint replaces the last one, a slab only a copy of itself.

    `lives` stand for the topics of all inputs, as in `lives_of`.
    """
    found = [record.model_copy(update={"lives": lives}) for record in records]
    if not found:
        return []
    keys = [_key(kept, record).encode() for record in found]
    return [Send(kept.role, keys, [encode(record) for record in found], [record.partition for record in found])]


def record_of(
    partition: int,
    ranges: Iterable[StateRange],
    plan: int,
    state_format: int,
    body: bytes,
    *,
    times_ms: tuple[int, int] = (0, 0),
) -> StateRecord:
    """A record, with its digest."""
    return StateRecord(
        partition=partition,
        ranges=tuple(ranges),
        plan=plan,
        format=state_format,
        first_ms=times_ms[0],
        last_ms=times_ms[1],
        digest=hashlib.sha256(body).hexdigest(),
        body=body,
    )


def range_of(role: str, topic_id: str, mark: StateMark, first: int, end: int) -> StateRange:
    """The range [first, end) of an input whose mark is known."""
    assert mark.since is not None
    return StateRange(role=role, topic_id=topic_id, since=mark.since, first=first, end=end, plan_first=mark.plan_first)


def slab_of(logic: Stateful, partition: int, known: StateRange, plan: int, frame: Frame) -> StateRecord:
    """The slab of a closed frame."""
    body = logic.dump_rows(known.role, partition, known.first, known.end)
    return record_of(partition, [known], plan, logic.state_format, body, times_ms=(frame.first_ms, frame.last_ms))


class Kept:
    """The records of one partition from which a state at `at` can be made.

    Left out are records of a state that began elsewhere, of another partition or of an earlier topic of the same name,
    and records that reach beyond `at`. Where two copies of a range differ, neither is used.
    """

    def __init__(
        self,
        place: Place,
        at: Mapping[str, int],
        since: Mapping[str, int | None],
        topic_ids: Mapping[str, str],
        *,
        formats: Sequence[int],
        unreadable: Container[str] = (),
    ) -> None:
        """`place` is the partition of the state topic; all else is by input, `since` as in `StateMark`.

        `topic_ids` are those of all inputs, `formats` those that can be read, this release's first. `unreadable` are
        digests of bodies that turned out to be none of the logic's.
        """
        self._place, self._at, self._since, self._formats = place, at, since, formats
        self._unreadable = unreadable
        self._topic_ids, self._lives = topic_ids, lives_of(topic_ids, at)
        self._found: dict[tuple[StateRange, ...], StateRecord] = {}
        self._disputed: set[tuple[StateRange, ...]] = set()

    def take(self, batch: Batch) -> None:
        """Take in records of the state topic. Raises StateFormatError if one is needed that cannot be read here."""
        for row, value in enumerate(batch.values):
            if value is not None and batch.partitions[row] == self._place.partition:
                self._take(value, int(batch.offsets[row]))

    def _take(self, value: bytes, offset: int) -> None:
        try:
            record = decode(self._place.role, value)
        except NewerRecordError as error:
            raise StateFormatError(str(error)) from error
        except ContractError as error:
            _log.error("state_record_refused", place=self._place, offset=offset, error=str(error))
            return
        assert isinstance(record, StateRecord)
        roles = {known.role for known in record.ranges}
        if record.partition != self._place.partition or len(roles) != len(record.ranges) or not roles:
            _log.error("state_record_misplaced", place=self._place, offset=offset, of_partition=record.partition)
            return
        if record.lives not in {"", self._lives} or not all(self._fits(known) for known in record.ranges):
            return
        if record.format not in self._formats:
            raise StateFormatError(
                f"the state of partition {record.partition} on {self._place.role} has format {record.format}, and this "
                f"release reads {self._formats[0]}: let a worker of the other release have it, or finish the upgrade."
            )
        if hashlib.sha256(record.body).hexdigest() != record.digest or record.digest in self._unreadable:
            _log.error("state_record_damaged", place=self._place, offset=offset)
            return
        known = self._found.setdefault(record.ranges, record)
        if known.digest != record.digest:
            _log.error("state_record_disputed", place=self._place, offset=offset, ranges=record.ranges)
            self._disputed.add(record.ranges)

    def _fits(self, known: StateRange) -> bool:
        since = self._since.get(known.role, known.since)
        ours = known.role in self._at and known.topic_id == self._topic_ids[known.role]
        return ours and known.end <= self._at[known.role] and since in {None, known.since}

    def records(self) -> list[StateRecord]:
        """The records that may be used, in ascending order of the offset that they reach."""
        believed = [record for ranges, record in self._found.items() if ranges not in self._disputed]
        return sorted(believed, key=lambda record: sum(known.end for known in record.ranges))


def _key(kept: Checkpoint | Slabs, record: StateRecord) -> str:
    if isinstance(kept, Checkpoint):
        return str(record.partition)
    (known,) = record.ranges
    return f"{record.partition}/{known.role}/{known.first}"
