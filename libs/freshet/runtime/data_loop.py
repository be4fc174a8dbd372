"""The loop that serves: polls, lets the logic answer, commits answers and offsets in one transaction.

One owner thread calls `step` again and again; a transaction never spans a poll. Whatever goes wrong with a batch, the
answer is the same: drop all of it and set every partition to its committed offset, because only the broker knows what
became visible. `transaction` commits batches and `partitions` keeps their positions; this file holds what happens
around them.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import structlog

from freshet.contracts.logic import Cancel, Effect, Logic, Start
from freshet.contracts.stateful import Stateful
from freshet.contracts.topic_table import TopicNames
from freshet.contracts.worker import UNKNOWN_PROCESS, Process, WorkerReport
from freshet.runtime.beats import Beats
from freshet.runtime.bus.protocol import Assignor, Bus, ExpiredError, Place, RetriableError
from freshet.runtime.clock import Clock
from freshet.runtime.feed import Feed
from freshet.runtime.jobs import HURRY_S, JobRunner
from freshet.runtime.lookups import Lookups
from freshet.runtime.loop_metrics import LoopMetrics
from freshet.runtime.needed import Needed
from freshet.runtime.options import LoopOptions
from freshet.runtime.partitions import Partitions
from freshet.runtime.recovery import Clue
from freshet.runtime.reports import InlineReports, Reports
from freshet.runtime.slot_watch import SlotWatch
from freshet.runtime.telemetry import Metrics
from freshet.runtime.transaction import Transactor

_CONTROL_INTERVAL_MS: Final = 50
_MEASURE_INTERVAL_MS: Final = 2_000
_BACK_OFF_S: Final = 0.2


class DataLoop:
    """Serves one pipeline with one logic. Not thread-safe: one owner thread."""

    _ends_asked = False
    """Whether the control topics are being read to the ends that they had when the logic became unsure."""

    def __init__(
        self,
        logic: Logic,
        bus: Bus,
        names: TopicNames,
        *,
        service: str,
        slot: str,
        fixed_slot: bool,
        jobs: JobRunner,
        clock: Clock,
        metrics: Metrics,
        references: Sequence[Clue] = (),
        options: LoopOptions | None = None,
        assignor: Assignor | None = None,
        reports: Reports | None = None,
        process: Process = UNKNOWN_PROCESS,
        needs: Sequence[str] = (),
    ) -> None:
        """`assignor`: see `DataService`. `reports` takes what this worker tells of itself, inline if None.

        While the topic of a role that it `needs` is not there, nothing is read. Where the host of `process` is known, a
        fixed slot is taken only when nobody on another host serves in it; else SettingsError.
        """
        self.logic = logic
        self._bus, self._service, self._jobs, self._clock = bus, service, jobs, clock
        self._pipeline = names.pipeline
        self._instance = f"{service}-{slot}" if fixed_slot else None
        # A static member that starts again gets its newest assignment back. Under `range` that is complete; under
        # `cooperative-sticky` it may be half of one, and nothing divides the rest (docs/decisions/0010).
        # Inputs that move together lie with one member only where topics are divided alike.
        self._assignor: Assignor = assignor or ("range" if fixed_slot or logic.together else "cooperative-sticky")
        self._options = options or LoopOptions()
        self._metrics = LoopMetrics(metrics, service, names.pipeline)
        self._log = structlog.get_logger("loop").bind(service=service, pipeline=names.pipeline, slot=slot)
        self._watch = (
            SlotWatch(bus, clock, name=names.worker(service, slot), slot=slot, host=process.host)
            if fixed_slot and process.host
            else None
        )
        self._needed = Needed(bus, names, needs)
        self._feed = Feed(bus.reader(logic.follows))
        self._newer: str | None = None
        """Which record of a newer release this pipeline has to wait for, until this process is replaced."""
        self._producer = bus.transactional_producer(service, slot)
        self._beats = Beats(reports or InlineReports(bus.producer()), names, service, slot, process)
        self._partitions = Partitions(
            logic,
            bus,
            self._producer,
            references=references,
            pipeline=names.pipeline,
            metrics=self._metrics,
            log=self._log,
        )
        self._transactor = Transactor(
            logic,
            names,
            self._producer,
            self._partitions,
            service=service,
            jobs=jobs,
            clock=clock,
            metrics=self._metrics,
            options=self._options,
            log=self._log,
            lookups=Lookups(bus, logic.looks_up),
        )
        self._next_control_ms = self._next_measure_ms = 0
        self.beat_s = time.monotonic()

    def step(self, timeout_s: float) -> int:
        """One turn: control facts, at most one batch, new partitions. Returns the rows answered; raises FatalError."""
        self.beat_s = time.monotonic()
        try:
            return self._turn(timeout_s)
        except RetriableError as error:
            self._doubt(error)
            self._clock.sleep(_BACK_OFF_S)
        return 0

    def _doubt(self, error: RetriableError) -> None:
        """Log what went wrong, unless a missing topic explains it, which has been logged already."""
        try:
            self._needed.look(self._clock.elapsed_ms(), doubtful=True)
        except RetriableError as other:
            error = other
        if not self._needed.missing:
            self._log.warning("retrying", error=str(error))

    def _turn(self, timeout_s: float) -> int:
        hurry = self._jobs.hurry()
        if hurry:
            timeout_s = min(timeout_s, HURRY_S)
        elapsed_ms = self._clock.elapsed_ms()
        if hurry or elapsed_ms >= self._next_control_ms:
            self._control(elapsed_ms)
        try:
            if self._newer is not None and self._partitions.joined:
                self._partitions.idle(timeout_s, "newer_control_record")
            elif self._needed.missing and self._partitions.joined:
                self._partitions.idle(timeout_s, "topic_missing")
            elif self._partitions.joined or self._join(timeout_s):
                return self._transactor.turn(timeout_s)
        except ExpiredError as error:
            self._partitions.expired(error, skip=self._options.skip_expired)
        return 0

    def _control(self, elapsed_ms: int) -> None:
        """Fold new facts, hand over job outcomes, and let the logic know that time passed."""
        self._next_control_ms = elapsed_ms + _CONTROL_INTERVAL_MS
        self._fold()
        self._settle_doubts()
        for role, count in self._feed.refused.items():
            self._metrics.refused(role, count)
        self._feed.refused.clear()
        for outcome in self._jobs.outcomes():
            self.logic.on_job(outcome)
        self._needed.look(elapsed_ms)
        if self._partitions.joined:
            self._carry_out(self.logic.on_tick(elapsed_ms))
            self._partitions.ask()
            self._partitions.watch(elapsed_ms)
            self._beats.beat(self._report(), elapsed_ms)
            self._measure(elapsed_ms)
        self._metrics.state(held=self._partitions.waiting, ready=self.unready() is None)

    def _settle_doubts(self) -> None:
        """Once all facts are folded that were there when the logic became unsure, tell it so."""
        if not isinstance(self.logic, Stateful) or not self.logic.unsure():
            self._ends_asked = False
        elif not self._ends_asked:
            self._feed.mark_ends()
            self._ends_asked = True
        elif self._feed.caught_up():
            self._ends_asked = False
            if without := self.logic.on_facts_read():
                self._log.warning("goes_on_without", what=without)

    def _fold(self, timeout_s: float = 0.0) -> None:
        for fact in self._feed.facts(timeout_s=timeout_s):
            self.logic.fold(fact)
        self._newer = self._feed.newer.get(self._pipeline)

    def _measure(self, elapsed_ms: int) -> None:
        if elapsed_ms >= self._next_measure_ms:
            self._next_measure_ms = elapsed_ms + _MEASURE_INTERVAL_MS
            self._metrics.measured(self.logic.measured())
            self._metrics.reported(self.logic.report())

    def _join(self, timeout_s: float) -> bool:
        """Join the group, once every control topic is read to the end seen at start."""
        if not self._feed.caught_up():
            self._fold(timeout_s=_BACK_OFF_S)
            return False
        if self._newer is not None:
            self._clock.sleep(timeout_s)
            return False
        if self._watch is not None and not self._watch.free(timeout_s):
            return False
        self._producer.open()
        self._partitions.join(self._bus.consumer(self._service, self.logic.reads, self._instance, self._assignor))
        self._log.info("joining", roles=self.logic.reads, instance=self._instance)
        return True

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        """Carry out effects that belong to no batch."""
        for effect in effects:
            match effect:
                case Start():
                    self._jobs.start(effect.job)
                case Cancel():
                    self._jobs.cancel(effect.queue)
                case _:
                    raise TypeError(f"{type(effect).__name__} belongs to a batch.")

    def _report(self) -> WorkerReport:
        """What the logic reports; where it says nothing of partitions, what this loop knows of them."""
        report = self.logic.report()
        return report if report.partitions else replace(report, partitions=self._partitions.states())

    @property
    def owned(self) -> frozenset[Place]:
        """The partitions that this worker has now, whether or not they are being read."""
        return self._partitions.owned

    def unready(self) -> str | None:
        """Why this loop cannot serve yet, or None when it can."""
        if self._newer is not None:
            return self._newer
        if self._needed.missing:
            return self._needed.missing
        if not self._partitions.joined:
            return (self._watch.waits_for if self._watch else "") or "reading control topics"
        return self._partitions.unready() or self.logic.unready()

    def close(self) -> None:
        """Say goodbye and leave the group. A batch is never open here, so nothing has to be finished."""
        if self._partitions.joined:
            self._beats.leave()
            self._partitions.close()
        self._producer.close()
        self._beats.close()
        self._jobs.close()
        self._metrics.closed()
        self._feed.close()
        self._transactor.close()
        if self._watch is not None:
            self._watch.close()
