"""What was asked of Kafka itself: how far topics and groups have come, and since when."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

RATE_MS: Final = 10_000
"""Rates are differences of offsets over so long."""
_SAMPLES: Final = 12
_KEPT_LAGS: Final = 24 * 60
_MINUTE_MS: Final = 60_000

TOPICS: Final = ("events", "features", "predictions", "outcomes", "feedback", "labels", "dead-letters")
"""Roles of the topics whose ends are asked for."""


@dataclass(frozen=True, slots=True)
class GroupLag:
    """How far behind a group is on one topic, by partition."""

    at_ms: int
    records: Mapping[int, int]
    """What a reader could read, and the group has not."""
    seconds: Mapping[int, float]
    """How long the oldest unread record has waited; 0 if none does."""
    oldest: Mapping[int, int]
    """Offset of that record; only where there is one."""
    started: bool
    """False: the group has never read this topic."""

    @property
    def worst_s(self) -> float:
        """The longest wait."""
        return max(self.seconds.values(), default=0.0)

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

    def take(self, at_ms: int, stable: Mapping[int, int]) -> None:
        """The ends as they are now, for a reader."""
        if self.partitions and stable != self.partitions:
            self.moved_ms = at_ms
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
    lags: Mapping[tuple[str, str], GroupLag] = field(default_factory=dict)
    """By service and role."""
    answer_s: float | None = None
    """How long the oldest event that has no prediction yet has waited since it came in; None before it is measured."""
    stuck: Sequence[str] = ()
    """Of transactions that are open for too long: a sentence each."""
    worst: dict[int, float] = field(default_factory=dict)
    """By minute, the longest that any event was seen to wait for its prediction."""

    def take_lags(
        self, at_ms: int, lags: Mapping[tuple[str, str], GroupLag], answer_s: float, stuck: Sequence[str]
    ) -> None:
        """How far all groups are as of now."""
        self.lags, self.answer_s, self.stuck = lags, answer_s, stuck
        minute = at_ms // _MINUTE_MS
        self.worst[minute] = max(answer_s, self.worst.get(minute, 0.0))
        while len(self.worst) > _KEPT_LAGS:
            del self.worst[next(iter(self.worst))]

    def rate(self, role: str) -> float | None:
        """Records per second that come in on a topic."""
        ends = self.ends.get(role)
        return None if ends is None else ends.rate
