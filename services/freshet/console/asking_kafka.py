"""What Kafka itself is asked: the ends of topics, how far groups have read, and what was set aside lately."""

from collections.abc import Sequence
from typing import Final

from freshet.console.core.aside import Letters
from freshet.console.core.measured import HOPS, TOPICS, Lag, Measurements, TopicEnds
from freshet.console.training_lines import letters_of
from freshet.operate.connection import Connection
from freshet.operate.redrive import Wanted, dead_records
from freshet.runtime.bus.protocol import Place

_DAY_MS: Final = 86_400_000
_MOST_LETTERS: Final = 3000
"""So many offsets at the end of the dead-letters topics are looked at, so that a burst costs no more."""


def ask_ends(connection: Connection, measured: dict[str, Measurements], pipelines: Sequence[str], now_ms: int) -> int:
    """Take in the ends of all topics of these pipelines, with three requests; how many partitions there are."""
    named = {connection.names(name).topic(role): (name, role) for name in pipelines for role in TOPICS}
    ends = connection.admin.ends(connection.admin.partitions(named))
    by_topic: dict[str, tuple[dict[int, int], dict[int, int]]] = {}
    for (topic, partition), end in ends.items():
        stable, high = by_topic.setdefault(topic, ({}, {}))
        stable[partition], high[partition] = end.stable, end.high
    for topic, (stable, high) in by_topic.items():
        name, role = named[topic]
        measured[name].ends.setdefault(role, TopicEnds()).take(now_ms, stable, high)
        measured[name].at_ms = now_ms
    return len(ends)


def ask_lags(connection: Connection, measured: Measurements, pipeline: str, now_ms: int) -> None:
    """Take in how far each service's group is behind. Offsets count the markers of transactions, too."""
    names = connection.names(pipeline)
    for service, role in HOPS:
        ends = measured.ends.get(role)
        if ends is None:
            continue
        committed = connection.admin.committed(names.group(service), names.topic(role))
        behind = {at: max(0, ends.partitions.get(at, 0) - one.offset) for at, one in committed.items()}
        # a rest of one is the marker of the last transaction, behind which no group commits
        records = {at: count if count > 1 else 0 for at, count in behind.items()}
        seconds: dict[int, float | None] = {at: None if count else 0.0 for at, count in records.items()}
        oldest = {at: one.offset for at, one in committed.items()}
        if committed:
            measured.take_lag(service, role, Lag(now_ms, records, seconds, oldest))


def ask_letters(connection: Connection, pipeline: str, now_ms: int) -> Letters:
    """What was set aside in the last day, as far as the newest records tell."""
    bus = connection.bus(pipeline)
    recent, spans = bus.offsets_at("dead-letters", now_ms - _DAY_MS), bus.spans("dead-letters")
    most = max(1, _MOST_LETTERS // max(1, len(spans)))
    starts = {at: max(span.low, recent.get(at, span.low), span.end - most) for at, span in spans.items()}
    capped = any(start > max(spans[at].low, recent.get(at, 0)) for at, start in starts.items())
    records = dead_records(bus, Wanted(), {Place("dead-letters", at): start for at, start in starts.items()})
    return letters_of(records, now_ms, redriven=0, capped=capped)
