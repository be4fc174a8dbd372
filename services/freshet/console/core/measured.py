"""What was asked of Kafka itself: how far topics and groups have come, and since when."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

RATE_MS: Final = 10_000
"""Rates are differences of offsets over so long."""
_SAMPLES: Final = 12
_KEPT_LAGS: Final = 24 * 60
_MINUTE_MS: Final = 60_000

TOPICS: Final = ("events", "features", "predictions", "outcomes", "feedback", "labels", "dead-letters")
"""Roles of the topics whose ends are asked for."""
HOPS: Final = (
    ("ingestion", "events"),
    ("ingestion", "feedback"),
    ("inference", "features"),
    ("drift-join", "predictions"),
    ("drift-join", "labels"),
    ("drift-evaluate", "outcomes"),
    ("drift-detect", "outcomes"),
)
"""Services, and what each reads as a group."""


@dataclass(frozen=True, slots=True)
class Lag:
    """How far behind a group is on one topic; by partition, only those that it has ever read."""

    at_ms: int
    records: Mapping[int, int]
    seconds: Mapping[int, float | None]
    """How long the oldest unread record has waited; None where that is not known."""
    oldest: Mapping[int, int]
    """Offset of the next record to read."""

    @property
    def worst_s(self) -> float | None:
        """The longest wait; None if nothing is known."""
        known = [one for one in self.seconds.values() if one is not None]
        return max(known, default=None)

    @property
    def total(self) -> int:
        """Records of all partitions."""
        return sum(self.records.values())


@dataclass(slots=True)
class TopicEnds:
    """The ends of one topic's partitions over the last seconds."""

    samples: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_SAMPLES))
    """(at_ms, sum of the ends)."""
    partitions: Mapping[int, int] = field(default_factory=dict)
    moved_ms: int | None = None
    """When an end was last seen to have moved; None if it never did while the console looked."""
    hidden_since_ms: int | None = None
    """Since when a transaction has been open behind the last stable offset; None while there is none."""

    def take(self, at_ms: int, stable: Mapping[int, int], high: Mapping[int, int]) -> None:
        """The ends as they are now: for a reader, and with what is not decided yet."""
        if self.partitions and stable != self.partitions:
            self.moved_ms = at_ms
        stuck = any(high[partition] > end for partition, end in stable.items())
        moved = stable != self.partitions
        self.hidden_since_ms = (
            (at_ms if moved or self.hidden_since_ms is None else self.hidden_since_ms) if stuck else None
        )
        self.partitions = dict(stable)
        self.samples.append((at_ms, sum(stable.values())))

    @property
    def rate(self) -> float | None:
        """Records per second over about the last ten; None before there are two looks. Markers are counted, too."""
        if len(self.samples) < 2:
            return None
        last_ms, last = self.samples[-1]
        first_ms, first = next(one for one in self.samples if last_ms - one[0] <= RATE_MS)
        return (last - first) * 1000 / (last_ms - first_ms) if last_ms > first_ms else 0.0


@dataclass(slots=True)
class Measurements:
    """What is known of one pipeline's topics and groups."""

    ends: dict[str, TopicEnds] = field(default_factory=dict)
    """By role."""
    at_ms: int = 0
    """When the ends were last asked for; 0 if never."""
    lags: dict[tuple[str, str], Lag] = field(default_factory=dict)
    """By service and role."""
    worst: dict[int, float] = field(default_factory=dict)
    """By minute, the longest wait of any record that was seen in it."""

    def take_lag(self, service: str, role: str, lag: Lag) -> None:
        """The lag of a group as it is now."""
        self.lags[service, role] = lag
        if (worst := lag.worst_s) is not None:
            minute = lag.at_ms // _MINUTE_MS
            self.worst[minute] = max(worst, self.worst.get(minute, 0.0))
            while len(self.worst) > _KEPT_LAGS:
                del self.worst[next(iter(self.worst))]

    def rate(self, role: str) -> float | None:
        """Records per second that come in on a topic."""
        ends = self.ends.get(role)
        return None if ends is None else ends.rate
