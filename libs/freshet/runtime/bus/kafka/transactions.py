"""Finds transactions that never end: each hides all that lies behind it in a partition from every reader, for good."""

import contextlib
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from freshet.runtime.bus.kafka import wire
from freshet.runtime.bus.kafka.admin import Ends, KafkaAdmin
from freshet.runtime.bus.protocol import BusError

OFFSETS_TOPIC: Final = "__consumer_offsets"

LONGEST_TRANSACTION_S: Final = 30.0
"""Ours are ended by the broker after 15 s at the latest, and it looks for such every 10 s; the rest is grace."""

_POLL_S: Final = 0.5

TopicPartition = tuple[str, int]


@dataclass(frozen=True, slots=True)
class HangingTransaction:
    """A transaction that has been open for longer than any may be; readers see nothing from its first record on.

    `running`: its coordinator still counts it as running, and ends it at its timeout at the latest; False: the
    coordinator has finished with it and will never look at this partition again; None: that could not be told. The ids
    are None then, too.
    """

    topic: str
    partition: int
    last_stable_offset: int
    """Of its first record: a read_committed reader gets no further."""
    end: int
    """One past the last record, visible or not."""
    transactional_id: str | None
    producer_id: int | None
    since_ms: int | None
    """The timestamp of its first record, in milliseconds since 1970; None if it could not be read."""
    running: bool | None = None


def find_hanging(
    admin: KafkaAdmin,
    topics: Collection[str],
    *,
    groups: Collection[str] = (),
    longest_s: float = LONGEST_TRANSACTION_S,
    sleep: Callable[[float], None] = time.sleep,
) -> list[HangingTransaction]:
    """The transactions on these topics, and on the logs of these groups' offsets, that stay open for `longest_s`.

    Returns at once if none is open, and otherwise as soon as all that were have ended. A topic that does not exist has
    none; where our rights do not reach Kafka's own topic of offsets, that one is left out. Raises as KafkaAdmin does.
    """

    def look(at: Mapping[TopicPartition, Ends] | None = None) -> dict[TopicPartition, Ends]:
        found = admin.ends(at if at is not None else admin.partitions(topics))
        if at is None and groups:
            with contextlib.suppress(BusError):
                found |= admin.ends(_offsets_partitions(admin, groups))
        return {place: ends for place, ends in found.items() if ends.stable < ends.high}

    first = look()
    stuck, deadline = first, time.monotonic() + longest_s
    while stuck and (left_s := deadline - time.monotonic()) > 0:
        sleep(min(_POLL_S, left_s))
        now = look(stuck)
        stuck = {place: ends for place, ends in now.items() if ends.stable == first[place].stable}
    return [_named(admin, place, ends) for place, ends in sorted(stuck.items())]


def offsets_partition(group: str, partitions: int) -> int:
    """The partition of Kafka's topic of offsets that holds a group: Java's hash of its name, without its sign."""
    code, units = 0, group.encode("utf-16-be")
    for at in range(0, len(units), 2):
        code = (31 * code + int.from_bytes(units[at : at + 2], "big")) & 0xFFFFFFFF
    if code == 1 << 31:
        return 0  # the one integer of Java that has no absolute value
    return min(code, (1 << 32) - code) % partitions


def _offsets_partitions(admin: KafkaAdmin, groups: Collection[str]) -> set[TopicPartition]:
    count = len(admin.partitions([OFFSETS_TOPIC]))
    return {(OFFSETS_TOPIC, offsets_partition(group, count)) for group in groups} if count else set()


def _named(admin: KafkaAdmin, place: TopicPartition, ends: Ends) -> HangingTransaction:
    """Ask who it is, as far as that can be told."""
    producer_id, transactional_id, running = None, None, None
    with contextlib.suppress(OSError, wire.WireError, BusError):
        brokers = admin.plain_brokers(*place)
        open_now = wire.open_transactions(brokers.leader, *place) if brokers is not None else []
        if brokers is not None and open_now:  # else it has just ended
            producer_id = open_now[0].producer_id
            transactional_id, running = _coordinated(brokers.all, producer_id, place)
    since_ms = admin.timestamp_at(*place, ends.stable)
    return HangingTransaction(*place, ends.stable, ends.high, transactional_id, producer_id, since_ms, running)


def _coordinated(
    brokers: Collection[wire.Address], producer_id: int, place: TopicPartition
) -> tuple[str | None, bool | None]:
    """The transactional id of a producer id, and whether its coordinator counts it as running in this partition."""
    for broker in brokers:
        for transactional_id in wire.transactional_ids(broker, producer_id):
            state = wire.transaction_state(broker, transactional_id)
            return transactional_id, state.producer_id == producer_id and place in state.places
    return None, False  # none knows it any more
