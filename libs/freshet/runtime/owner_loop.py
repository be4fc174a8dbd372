"""The loop of a service that decides alone (registry, retraining): fence, fold, decide.

The order matters: a new owner first fences its predecessor, then folds every topic to the end read *after* that, then
decides. When owners folded first, two of them issued the same epoch number. For the same reason an owner never opens
its transactional id a second time: if its producer may have been fenced, the process ends.
"""

import time
from collections.abc import Sequence
from typing import Final

import structlog

from freshet.contracts.logic import Announce, Cancel, Decider, Fact, Start
from freshet.contracts.topic_table import TopicNames
from freshet.contracts.worker import UNKNOWN_PROCESS, Process, WorkerReport
from freshet.runtime.batch_outcome import announcement
from freshet.runtime.beats import Beats
from freshet.runtime.bus.protocol import Bus, FatalError, RefusedError, RetriableError, TooLargeError, Transaction
from freshet.runtime.clock import Clock
from freshet.runtime.feed import Feed, roles_of
from freshet.runtime.jobs import HURRY_S, JobRunner
from freshet.runtime.metrics import of_services as told
from freshet.runtime.pauses import Pauses
from freshet.runtime.reports import Reports
from freshet.runtime.telemetry import Metrics

OWNER: Final = "owner"
"""The slot of a service that has only one owner at a time."""
_BACK_OFF_S: Final = 0.2
_STABLE_S: Final = 30.0  # a predecessor's marker takes milliseconds; the broker ends what times out within 15 + 10 s


class OwnerLoop:
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
        reports: Reports | None = None,
        process: Process = UNKNOWN_PROCESS,
    ) -> None:
        """`reports` takes what this owner tells of itself; without it, nothing is told."""
        self.decider = decider
        self._beats = Beats(reports, names, service, OWNER, process) if reports is not None else None
        self._bus, self._jobs, self._clock, self._metrics = bus, jobs, clock, metrics
        self._labels = (service, names.pipeline)
        self._log = structlog.get_logger("decider").bind(service=service)
        self._producer = bus.transactional_producer(service, OWNER, reopen=False)
        self._feed = Feed(bus.reader(roles_of(decider.follows, decider.owns)), decider.on_unreadable)
        self._pauses = Pauses()
        self._fenced_ms: int | None = None
        self._owner = False
        self._caught_up = False
        self._busy = False
        self.beat_s = time.monotonic()

    def step(self, timeout_s: float) -> int:
        """One turn: facts, outcomes, decisions. Returns how many records were decided; FatalError when fenced."""
        self.beat_s = time.monotonic()
        try:
            if not self._owner and not self._take_over():
                return 0
            # one decision often makes the next one due: do not wait for news then
            wait_s = min(timeout_s, HURRY_S) if self._jobs.hurry() else timeout_s
            for fact in self._feed.facts(0.0 if self._busy else wait_s):
                self._take(fact)
            self._count_refused()
            if not self._caught_up:
                self._caught_up = self._feed.caught_up()
                return 0
            self._metrics[told.READY].labels(*self._labels).set(self.unready() is None)
            if self._beats is not None:
                self._beats.beat(WorkerReport(warnings=tuple(self.decider.warnings())), self._clock.elapsed_ms())
            for outcome in self._jobs.outcomes():
                if outcome.error is not None:  # the decider asks again later, and tells nobody
                    self._log.error("job_failed", job=type(outcome.job).__name__, error=str(outcome.error))
                self.decider.on_job(outcome)
            decided = sum(self._decide(pipeline) for pipeline in list(self.decider.pipelines()))
            self._busy = decided > 0
            return decided
        except RetriableError as error:
            self._log.warning("retrying", error=str(error))
            self._clock.sleep(_BACK_OFF_S)
            return 0

    def _take_over(self) -> bool:
        """Fence the predecessor, then look where the topics end. False while the end of our own topics is hidden."""
        if self._fenced_ms is None:
            self._producer.open()
            self._fenced_ms = self._clock.now_ms()
        hidden = self._hidden()
        if hidden is not None:
            if self._clock.now_ms() - self._fenced_ms > _STABLE_S * 1000:
                raise FatalError(hidden)
            self._clock.sleep(_BACK_OFF_S)
            return False
        self._feed.mark_ends()
        self._owner = True
        return True

    def _hidden(self) -> str | None:
        """Why a part of our own topics cannot be read, or None if all of it can.

        Only we write there, and what we left open is aborted by now. Were there more behind an open transaction, it
        could be decisions of ours, and we would decide the same again under the same numbers.
        """
        for role in self.decider.owns:
            for partition, span in self._bus.spans(role).items():
                if span.open:
                    return (
                        f"{role}, partition {partition}: a transaction has been open from offset {span.end} on since "
                        f"before we took over, and hides what was decided up to offset {span.high}. The broker ought "
                        "to have ended it. `freshet doctor` names it; end it as docs/failures.md says ('A transaction "
                        "that never ends'), then start again."
                    )
        return None

    def _take(self, fact: Fact) -> None:
        # Once caught up, our own records are folded when they are committed: reading them again would turn time back.
        if not self._caught_up or fact.role not in self.decider.owns:
            self.decider.fold(fact)
        else:
            self.decider.on_reread(fact)

    def _count_refused(self) -> None:
        for role, count in self._feed.refused.items():
            self._metrics[told.CONTROL_REFUSED].labels(*self._labels, role).inc(count)
        self._feed.refused.clear()

    def _decide(self, pipeline: str) -> int:
        """One step of one pipeline, in a commit of its own, so that another pipeline's trouble cannot hold it back."""
        now_ms = self._clock.now_ms()
        if pipeline in self._feed.newer or self._pauses.lasts(pipeline, now_ms):
            return 0
        try:
            effects = list(self.decider.decide(pipeline, now_ms))
        except Exception as error:  # policies are plug-ins: whatever goes wrong in one is its pipeline's trouble alone
            self._set_aside(pipeline, now_ms, "undecided", error)
            return 0
        for effect in effects:
            match effect:
                case Start():
                    self._jobs.start(effect.job)
                case Cancel():
                    self._jobs.cancel(effect.queue)
        announced = [effect for effect in effects if isinstance(effect, Announce)]
        if not announced:
            return 0
        try:
            self._producer.commit(Transaction([announcement(effect) for effect in announced]))
        except TooLargeError as error:
            self.decider.on_too_large(pipeline, announced, str(error))
            self._set_aside(pipeline, now_ms, "too_large", error)
            return 0
        except RefusedError as error:
            # Nothing became visible: it decides the same again.
            self._set_aside(pipeline, now_ms, "refused", error)
            return 0
        self._pauses.end(pipeline)
        self._metrics[told.TRANSACTIONS].labels(*self._labels).inc()
        self._note(announced, now_ms)
        return len(announced)

    def _set_aside(self, pipeline: str, now_ms: int, cause: str, error: Exception) -> None:
        """Pause this pipeline for a while; the others go on."""
        pause_s = self._pauses.begin(pipeline, now_ms) / 1000
        self._metrics[told.REWINDS].labels(*self._labels, cause).inc()
        self._log.error(cause, pipeline=pipeline, pause_s=pause_s, error=str(error), kind=type(error).__name__)

    def _note(self, announced: Sequence[Announce], now_ms: int) -> None:
        for effect in announced:
            message = effect.message and effect.message.model_dump(mode="json", exclude={"manifest"})
            self._log.info("decided", role=effect.role, key=effect.key, message=message)
            self.decider.fold(Fact(effect.role, effect.key, effect.message, now_ms))

    def unready(self) -> str | None:
        """Why this loop cannot decide yet, or None when it can."""
        if not self._owner:
            return "taking over: the end of our own topics cannot be seen yet"
        if not self._caught_up:
            return "folding the control topics"
        newer = [f"{name}: {why}" for name, why in self._feed.newer.items()]
        return "; ".join([*newer, *self.decider.warnings()]) or None

    def close(self) -> None:
        """Write a last beat and free everything; all decisions are committed already."""
        if self._beats is not None:
            if self._owner:
                self._beats.leave()
            self._beats.close()
        self._jobs.close()
        self._feed.close()
        self._producer.close()
