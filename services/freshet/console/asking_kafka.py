"""What Kafka itself is asked: the ends of topics, how far groups have read, and what was set aside lately."""

from collections.abc import Sequence
from typing import Final

from freshet.console.core.aside import Letters
from freshet.console.core.measured import TOPICS, GroupLag, Measurements, TopicEnds
from freshet.console.training_lines import letters_of
from freshet.operate.connection import Connection
from freshet.operate.lag.lag_reader import LagReader
from freshet.operate.lag.lag_rows import Lag
from freshet.operate.redrive import Wanted, dead_records
from freshet.runtime.bus.protocol import Place

_DAY_MS: Final = 86_400_000
_MOST_LETTERS: Final = 3000
"""So many offsets at the end of the dead-letters topics are looked at, so that a burst costs no more."""


def ask_ends(connection: Connection, measured: dict[str, Measurements], pipelines: Sequence[str], now_ms: int) -> int:
    """Take in the ends of all topics of these pipelines, with three requests; how many partitions there are."""
    named = {connection.names(name).topic(role): (name, role) for name in pipelines for role in TOPICS}
    ends = connection.admin.ends(connection.admin.partitions(named))
    by_topic: dict[str, dict[int, int]] = {}
    for (topic, partition), end in ends.items():
        by_topic.setdefault(topic, {})[partition] = end.stable
    for topic, stable in by_topic.items():
        name, role = named[topic]
        measured[name].ends.setdefault(role, TopicEnds()).take(now_ms, stable)
        measured[name].at_ms = now_ms
    return len(ends)


def ask_lags(reader: LagReader, measured: Measurements, now_ms: int) -> None:
    """Take in how far each service's group is behind."""
    found = reader.read()
    answer_s = next(path.seconds for path in found.paths if path.end == "prediction")
    stuck = [f"A transaction on {one.topic}/{one.partition} is open for too long." for one in found.stuck]
    measured.take_lags(now_ms, _groups(found, now_ms), answer_s, stuck)


def _groups(found: Lag, now_ms: int) -> dict[tuple[str, str], GroupLag]:
    groups = {}
    for hop in found.hops:
        rows = [row for row in found.partitions if (row.service, row.role) == (hop.service, hop.role)]
        groups[hop.service, hop.role] = GroupLag(
            now_ms,
            {row.partition: row.records for row in rows},
            {row.partition: row.seconds for row in rows},
            {row.partition: row.next_offset for row in rows if row.next_offset is not None},
            hop.started,
        )
    return groups


def ask_letters(connection: Connection, pipeline: str, now_ms: int) -> Letters:
    """What was set aside in the last day, as far as the newest records tell."""
    bus = connection.bus(pipeline)
    recent, spans = bus.offsets_at("dead-letters", now_ms - _DAY_MS), bus.spans("dead-letters")
    most = max(1, _MOST_LETTERS // max(1, len(spans)))
    starts = {at: max(span.low, recent.get(at, span.low), span.end - most) for at, span in spans.items()}
    capped = any(start > max(spans[at].low, recent.get(at, 0)) for at, start in starts.items())
    records = dead_records(bus, Wanted(), {Place("dead-letters", at): start for at, start in starts.items()})
    return letters_of(records, now_ms, redriven=0, capped=capped)
