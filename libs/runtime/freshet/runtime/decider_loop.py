"""The loop of a service that decides alone (registry, retraining): fence, fold, decide.

The order matters: a new owner first fences its predecessor, then folds every topic to the end read *after* that, then
decides. Folding first let two owners issue one epoch number.
"""

import time
from typing import Final

import structlog

from freshet.contracts.logic import Announce, Decider, Fact, Start
from freshet.contracts.topics import TopicNames
from freshet.runtime.bus import Bus, RefusedError, RetriableError, Transaction
from freshet.runtime.clock import Clock
from freshet.runtime.feed import Feed, roles_of
from freshet.runtime.jobs import JobRunner
from freshet.runtime.telemetry import Metrics
from freshet.runtime.work import announcement

_BACK_OFF_S: Final = 0.2


class DeciderLoop:
    """Runs one decider as the single owner of its transactional id. Not thread-safe: one owner thread."""

    def __init__(
        self,
        decider: Decider,
        bus: Bus,
        names: TopicNames,
        *,
        service: str,
        jobs: JobRunner,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.decider = decider
        self._jobs, self._clock, self._metrics = jobs, clock, metrics
        self._labels = (service, names.pipeline)
        self._log = structlog.get_logger("decider").bind(service=service)
        self._producer = bus.transactional_producer(service, "owner", reopen=False)
        self._feed = Feed(bus.reader(roles_of(decider.follows, decider.owns)))
        self._owner = False
        self._caught_up = False
        self._busy = False
        self.beat_s = time.monotonic()

    def step(self, timeout_s: float) -> int:
        """One turn: facts, outcomes, decisions. Returns how many records were decided; FatalError when fenced."""
        self.beat_s = time.monotonic()
        try:
            if not self._owner:
                self._producer.open()
                self._feed.mark_ends()
                self._owner = True
            # one decision often makes the next one due: do not wait for news then
            for fact in self._feed.facts(0.0 if self._busy else timeout_s):
                self._take(fact)
            if not self._caught_up:
                self._caught_up = self._feed.caught_up()
                return 0
            for outcome in self._jobs.outcomes():
                self.decider.on_job(outcome)
            decided = self._decide()
            self._busy = decided > 0
            return decided
        except RetriableError as error:
            self._log.warning("retrying", error=str(error))
            self._clock.sleep(_BACK_OFF_S)
            return 0

    def _take(self, fact: Fact) -> None:
        # Once caught up, our own records are folded when they are committed: reading them again would turn time back.
        if not self._caught_up or fact.role not in self.decider.owns:
            self.decider.fold(fact)

    def _decide(self) -> int:
        now_ms = self._clock.now_ms()
        announced = []
        for effect in self.decider.decide(now_ms):
            if isinstance(effect, Start):
                self._jobs.start(effect.job)
            else:
                announced.append(effect)
        self._metrics.ready.labels(*self._labels).set(1)
        if not announced:
            return 0
        try:
            self._producer.commit(Transaction([announcement(effect) for effect in announced]))
        except RefusedError as error:
            # Nothing became visible: the next turn decides the same again.
            self._log.warning("refused", error=str(error))
            return 0
        self._metrics.transactions.labels(*self._labels).inc()
        for effect in announced:
            self._note(effect, now_ms)
        return len(announced)

    def _note(self, effect: Announce, now_ms: int) -> None:
        self._log.info(
            "decided",
            role=effect.role,
            key=effect.key,
            message=effect.message.model_dump(mode="json", exclude={"manifest"}),
        )
        self.decider.fold(Fact(effect.role, effect.key, effect.message, now_ms))

    def unready(self) -> str | None:
        """Why this loop cannot decide yet, or None when it can."""
        return None if self._caught_up else "folding the control topics"

    def close(self) -> None:
        """Free everything; what was decided is committed."""
        self._feed.close()
        self._producer.close()
