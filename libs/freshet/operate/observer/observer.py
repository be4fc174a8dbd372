"""Looks at pipelines again and again, and shows what it saw as metrics. It asks Kafka and reads topics, no service.

What cannot be seen is not shown: after a failed look the age of the last good one goes on growing, and once that is too
old its numbers are gone, so that nobody takes them for those of now.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from freshet.contracts.errors import FreshetError
from freshet.contracts.logic import Fact
from freshet.ledger.ledger import Ledger, pipeline_of
from freshet.operate.connection import Connection
from freshet.operate.lag.lag_reader import LagReader
from freshet.operate.observer.samples import Kept, Sample, of_judgement, of_lag, of_ledger
from freshet.operate.verify.judging import judge_pipeline
from freshet.runtime.bus.protocol import Bus, Place, RetriableError
from freshet.runtime.clock import SystemClock
from freshet.runtime.feed import Feed
from freshet.runtime.metrics.of_topics import OBSERVED_AGE, OF_TOPICS

STALE_S: Final = 60.0
"""What was seen so long ago is not shown any more."""
_FOLDED: Final = ("pipelines", "models", "rollouts", "workers")
_STATE: Final = (*_FOLDED, "alarms", "trainings")
_SERIES: Final = ("evaluations",)
_SERIES_MS: Final = 86_400_000
_CLOCK: Final = SystemClock()
_READ_S: Final = 1.0
_PATIENCE_S: Final = 15.0


class _Look(NamedTuple):
    at_s: float
    """Of a clock that only runs forward."""
    good_s: float
    samples: list[Sample]


class Observer(Collector):
    """What was seen of each pipeline at the last look. `look` is called by one thread, `collect` by any."""

    def __init__(
        self, connection: Connection, pipelines: Sequence[str] = (), now_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Of these pipelines, or of all that are published, also of those that come later."""
        self._connection, self._asked, self._now_s = connection, tuple(pipelines), now_s
        self._log = structlog.get_logger("observe")
        bus = connection.bus()
        self._feeds = [Feed(bus.reader(_STATE)), Feed(bus.reader(_SERIES, _since(bus, _SERIES_MS) or None))]
        self._ledger, self._kept = Ledger(), defaultdict[str, Kept](Kept)
        self._there = self._asked
        self._lags = dict[str, LagReader]()
        self._seen, self._judged = dict[str, _Look](), dict[str, _Look]()

    def look(self) -> bool:
        """Look at every pipeline; False if something could not be seen, which is logged."""
        try:
            self._take()
        except FreshetError as error:
            self._log.warning("not_seen", error=str(error))
            return False
        self._tell("", [])
        missed = [pipeline for pipeline in self.pipelines() if not self._look_at(pipeline)]
        return not missed

    def judge(self, minutes: float) -> None:
        """Have `freshet verify` judge what came in the last minutes; it reads all of that. May be another thread."""
        for pipeline in self.pipelines():
            try:
                found = judge_pipeline(self._connection, pipeline, from_ms=_CLOCK.now_ms() - round(minutes * 60_000))
            except FreshetError as error:
                self._log.warning("not_judged", pipeline=pipeline, error=str(error))
                continue
            good_s = 2 * minutes * 60 + STALE_S
            self._judged[pipeline] = _Look(self._now_s(), good_s, list(of_judgement(pipeline, found)))

    def pipelines(self) -> tuple[str, ...]:
        """Whom it looks at now."""
        return self._there

    def collect(self) -> Iterator[Family]:
        """See `Collector`."""
        now_s, there = self._now_s(), ("", *self.pipelines())
        looks = [(name, look) for name, look in self._seen.copy().items() if name in there]
        shown = [Sample(OBSERVED_AGE, (name,), now_s - look.at_s) for name, look in looks]
        looks += [(name, look) for name, look in self._judged.copy().items() if name in there]
        for _, look in looks:
            shown += look.samples if now_s - look.at_s <= look.good_s else []
        for metric in OF_TOPICS:
            make = CounterMetricFamily if metric.kind_name == "counter" else GaugeMetricFamily
            family = make(metric.name, metric.meaning, labels=metric.labels)
            for sample in shown:
                if sample.metric is metric:
                    family.add_metric(sample.labels, sample.value)
            yield family

    def close(self) -> None:
        """Free all clients."""
        for feed in self._feeds:
            feed.close()
        for lag in self._lags.values():
            lag.close()

    def _take(self) -> None:
        """What has arrived on the control topics up to now; the first time, all that is there."""
        for feed in self._feeds:
            feed.mark_ends()  # also for topics that were not there before
            silent_s = 0.0
            while not feed.caught_up():
                silent_s = 0.0 if self._fold(feed.facts(_READ_S)) else silent_s + _READ_S
                if silent_s >= _PATIENCE_S:
                    raise RetriableError(f"the control topics gave nothing for {_PATIENCE_S:.0f} s.")
        published = (one.name for one in self._ledger if one.specification is not None and not one.deleted)
        self._there = self._asked or tuple(published)

    def _fold(self, facts: Iterable[Fact]) -> int:
        """Remember these, and say how many there were."""
        count = 0
        for fact in facts:
            count += 1
            if fact.role in _FOLDED:
                self._ledger.fold(fact)
            elif fact.message is not None:
                self._kept[pipeline_of(fact)].take(fact.message)
        return count

    def _look_at(self, pipeline: str) -> bool:
        if pipeline not in self._lags:
            self._lags[pipeline] = LagReader(self._connection, pipeline)
        try:
            samples = list(of_lag(self._lags[pipeline].read()))
        except FreshetError as error:
            self._log.warning("not_seen", pipeline=pipeline, error=str(error))
            return False
        self._tell(pipeline, [*samples, *self._kept[pipeline].samples(self._ledger.of(pipeline))])
        return True

    def _tell(self, pipeline: str, samples: list[Sample]) -> None:
        """Show this from now on, and what the ledger says; the empty name is for services of all pipelines."""
        known = of_ledger(self._ledger.of(pipeline), _CLOCK.now_ms())
        self._seen[pipeline] = _Look(self._now_s(), STALE_S, [*samples, *known])


def _since(bus: Bus, back_ms: int) -> dict[Place, int]:
    """Where to begin, so that a start costs no more after a year; nothing if the topic is not there yet."""
    at_ms = _CLOCK.now_ms() - back_ms
    return {
        Place(role, partition): offset for role in _SERIES for partition, offset in bus.offsets_at(role, at_ms).items()
    }
