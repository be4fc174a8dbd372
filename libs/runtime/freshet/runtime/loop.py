"""The loop that serves: polls, lets the logic answer, commits answers and offsets in one transaction.

One owner thread calls `step` again and again; a transaction never spans a poll. Whatever goes wrong with a batch, the answer is the
same: drop all of it and set every partition to its committed offset, because only the broker knows what became visible.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, Protocol

import numpy as np
import structlog

from freshet.contracts.logic import Announce, DeadLetter, Effect, Fact, Hold, Logic, Outcome, Release, Start
from freshet.contracts.topics import TopicNames
from freshet.runtime import dead_letters
from freshet.runtime.bus import (
    Bus,
    Collected,
    Committed,
    ExpiredError,
    FatalError,
    GroupConsumer,
    Place,
    RefusedError,
    RetriableError,
    Send,
    TooLargeError,
    Transaction,
)
from freshet.runtime.clock import Clock
from freshet.runtime.feed import Feed
from freshet.runtime.recovery import Trace, checked, recover
from freshet.runtime.telemetry import Metrics
from freshet.runtime.work import Work, announcement

_CONTROL_INTERVAL_MS: Final = 50
_COMMITTED_TIMEOUT_S: Final = 1.0
_BACK_OFF_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """How one loop reads and commits."""

    batch_rows: int = 5000
    """Nothing is gained above (docs/performance.md)."""
    batch_bytes: int = 8 * 1024 * 1024
    commit_interval_ms: int = 25
    """Least distance of transactions under light load: at 5,000 events/s it saves a third of the CPU at equal p99."""
    skip_expired: bool = False
    """On records lost to retention: False stops, True jumps ahead and leaves a dead letter that says what was skipped."""


class JobRunner(Protocol):
    """`jobs.Jobs` or `jobs.InlineJobs`."""

    def start(self, job: object) -> None: ...
    def outcomes(self) -> list[Outcome]: ...


class Loop:
    """Serves one pipeline with one logic. Not thread-safe: one owner thread."""

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
        traces: Sequence[Trace] = (),
        options: LoopOptions | None = None,
    ) -> None:
        self.logic = logic
        self._bus, self._names, self._service, self._slot = bus, names, service, slot
        self._instance = f"{service}-{slot}" if fixed_slot else None
        self._jobs, self._clock, self._metrics, self._traces = jobs, clock, metrics, traces
        self._options = options or LoopOptions()
        self._labels = (service, names.pipeline)
        self._log = structlog.get_logger("loop").bind(service=service, pipeline=names.pipeline, slot=slot)
        self._version = version("freshet")
        self._feed = Feed(bus.reader(logic.follows))
        self._producer = bus.transactional_producer(service, slot)
        self._reports = bus.producer()
        self._consumer: GroupConsumer | None = None
        self._membership: object = None
        self._unplaced: set[Place] = set()
        self._held: dict[Place, str] = {}
        self._metadata: dict[Place, str] = {}
        self._limit = self._options.batch_rows
        self._last_commit_ms = 0
        self._full = False
        self._next_control_ms = 0
        self.beat_s = time.monotonic()

    def step(self, timeout_s: float) -> int:
        """One turn: control facts, placing, at most one batch. Returns the rows answered; raises FatalError."""
        self.beat_s = time.monotonic()
        try:
            self._control()
            if self._consumer is None and not self._join():
                return 0
            self._space()
            return self._turn(timeout_s)
        except ExpiredError as error:
            self._skip_expired(error)
        except RetriableError as error:
            self._log.warning("retrying", error=str(error))
            self._clock.sleep(_BACK_OFF_S)
        return 0

    def _turn(self, timeout_s: float) -> int:
        got = self._group.collect(self._limit, self._options.batch_bytes, timeout_s)
        self._absorb_changes()
        if got is not None and got.torn:
            self._rewind("rebalance")
            got = None
        self._place()
        return self._answer(got) if got is not None else 0

    # -- control ----------------------------------------------------------------------------------------------------

    def _control(self) -> None:
        """Fold new facts, hand over job outcomes, and let the logic know that time passed."""
        now_ms = self._clock.now_ms()
        if now_ms < self._next_control_ms:
            return
        self._next_control_ms = now_ms + _CONTROL_INTERVAL_MS
        for fact in self._feed.facts():
            self._fold(fact)
        for role, count in self._feed.refused.items():
            self._metrics.control_refused.labels(*self._labels, role).inc(count)
        self._feed.refused.clear()
        for outcome in self._jobs.outcomes():
            self.logic.on_job(outcome)
        if self._consumer is not None:
            self._carry_out(self.logic.on_tick(now_ms))
        self._metrics.held_partitions.labels(*self._labels).set(len(self._held))
        self._metrics.ready.labels(*self._labels).set(self.unready() is None)

    def _fold(self, fact: Fact) -> None:
        self.logic.fold(fact)

    def _join(self) -> bool:
        """Join the group, once every control topic is read to the end seen at start."""
        if not self._feed.caught_up():
            for fact in self._feed.facts(timeout_s=_BACK_OFF_S):
                self._fold(fact)
            return False
        self._producer.open()
        self._consumer = self._bus.consumer(self._service, self.logic.reads, self._instance)
        self._log.info("joining", roles=self.logic.reads, instance=self._instance)
        return True

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        """Effects outside any batch: reports are written at once and may repeat, they are whole states."""
        for effect in effects:
            match effect:
                case Announce():
                    self._reports.send(announcement(effect))
                case Start():
                    self._jobs.start(effect.job)
                case Release():
                    place = Place(effect.role, effect.partition)
                    if self._held.pop(place, None) is not None:
                        self._unplaced.add(place)
                case Hold():
                    self._hold(effect)
                case _:
                    raise TypeError(f"{type(effect).__name__} belongs to a batch.")

    # -- partitions -------------------------------------------------------------------------------------------------

    @property
    def _group(self) -> GroupConsumer:
        assert self._consumer is not None
        return self._consumer

    def _absorb_changes(self) -> None:
        changes = self._group.take_changes()
        if not changes.revoked and not changes.assigned:
            return
        # Right after the poll that ran the callbacks, for the same reason as in `collect`.
        self._membership = self._group.membership()
        for place in changes.revoked:
            self._forget(place)
            self.logic.on_revoke(place.role, place.partition)
        self._unplaced.update(changes.assigned)
        self._metrics.rebalances.labels(*self._labels).inc()
        self._metrics.owned_partitions.labels(*self._labels).set(len(self._group.owned()))
        self._log.info("rebalanced", revoked=changes.revoked, assigned=changes.assigned)

    def _forget(self, place: Place) -> None:
        self._unplaced.discard(place)
        self._held.pop(place, None)
        self._metadata.pop(place, None)

    def _hold(self, effect: Hold) -> None:
        place = Place(effect.role, effect.partition)
        self._group.pause(place)
        self._held[place] = effect.reason
        self._log.info("holding", place=place, reason=effect.reason)

    def _rewind(self, cause: str) -> None:
        """Forget what was read and set every partition to its committed offset: never to the batch's first, which another
        owner may have passed."""
        for place in self._group.owned() - self._held.keys():
            self._group.pause(place)
            self._unplaced.add(place)
        self._metrics.rewinds.labels(*self._labels, cause).inc()
        self._log.info("rewinding", cause=cause)

    def _place(self) -> None:
        """Set partitions that are new, released or rewound to their committed offsets, and let them flow."""
        self._unplaced &= self._group.owned()
        if not self._unplaced:
            return
        committed = self._group.committed(sorted(self._unplaced), _COMMITTED_TIMEOUT_S)
        fresh: dict[Place, Committed] = {}
        for place, known in committed.items():
            if known is None or (not known.metadata and self.logic.origin):
                recovered = recover(self._bus, self._traces, place)
                fresh[place] = checked(place, known, recovered, self._group.span(place), self.logic.origin)
                self._log.info("starting", place=place, committed=known, recovered=recovered, start=fresh[place])
        if fresh:
            # Before the first poll, so that a crash cannot move the start.
            try:
                self._producer.commit(Transaction(offsets=fresh, membership=self._membership))
            except RefusedError as error:
                self._log.info("start_refused", error=str(error))
                return
        for place in sorted(self._unplaced):
            self._begin(place, fresh.get(place) or committed[place])
        self._unplaced.clear()

    def _begin(self, place: Place, at: Committed | None) -> None:
        assert at is not None
        self._metadata[place] = at.metadata
        effects = list(self.logic.on_assign(place.role, place.partition, at.metadata))
        self._carry_out(effects)
        if place not in self._held:
            self._group.start(place, at.offset)

    # -- batches ----------------------------------------------------------------------------------------------------

    def _space(self) -> None:
        """Keep transactions a little apart under light load; never when a full batch was just there."""
        if self._full or not self._last_commit_ms:
            return
        early_ms = self._last_commit_ms + self._options.commit_interval_ms - self._clock.now_ms()
        if 0 < early_ms <= self._options.commit_interval_ms:
            self._clock.sleep(early_ms / 1000)

    def _answer(self, got: Collected) -> int:
        """Let the logic answer, and commit its answers with the offsets they answer."""
        began = time.perf_counter()
        work = Work(self._names, self._service, self._version)
        for batch in got.batches:
            work.add(batch, self.logic.on_batch(batch))
        answered = time.perf_counter()
        self._full = work.rows >= self._limit
        if work.abort is not None:
            self._rewind(work.abort)
            return 0
        for job in work.jobs:
            self._jobs.start(job)
        offsets = work.offsets(self._metadata)
        try:
            if offsets:
                self._producer.commit(Transaction(work.sends, offsets, got.membership))
        except TooLargeError as error:
            self._bisect(got, str(error))
            return 0
        except RefusedError as error:
            self._log.warning("refused", error=str(error))
            self._rewind("refused")
            return 0
        for hold in work.holds:
            self._hold(hold)
        self._metadata.update({place: at.metadata for place, at in offsets.items()})
        self._limit = min(self._limit * 2, self._options.batch_rows)
        self._last_commit_ms = self._clock.now_ms()
        self._measure(got, work, answered - began, time.perf_counter() - answered)
        return work.rows

    def _bisect(self, got: Collected, error: str) -> None:
        """An output is larger than its topic takes: narrow the batch down to the row at fault and set that row aside."""
        rows = sum(len(batch) for batch in got.batches)
        if rows > 1:
            self._limit = max(1, rows // 2)
            self._rewind("too_large")
            return
        batch = got.batches[0]
        letter = DeadLetter(np.array([0]), "input_output_too_large", [f"its output cannot be written: {error}"])
        work = Work(self._names, self._service, self._version)
        work.add(batch, [letter])
        try:
            self._producer.commit(Transaction(work.sends, work.offsets(self._metadata), got.membership))
        except RefusedError:
            self._rewind("refused")

    def _skip_expired(self, error: ExpiredError) -> None:
        """Records were deleted before we read them: stop, or leave a dead letter that says which and go on."""
        span = self._group.span(error.place)
        if not self._options.skip_expired:
            raise FatalError(
                f"{error} The topic holds {span.low} to {span.end}: its retention has overtaken us. Raise the retention, or "
                "start with --on-expired skip to leave a dead letter and go on at what is left."
            ) from error
        detail = f"offsets {error.position} to {span.low} expired unread"
        place = error.place
        context = [
            ("freshet.reason", b"input_expired"),
            ("freshet.role", place.role.encode()),
            ("freshet.partition", str(place.partition).encode()),
            ("freshet.offset", str(span.low - 1).encode()),
            ("freshet.detail", detail.encode()),
        ]
        letter = Send(dead_letters.ROLE, [None], [b""], [place.partition], [context])
        at = Committed(span.low, self._metadata.get(place, self.logic.origin))
        self._log.error("expired", place=place, detail=detail)
        self._producer.commit(Transaction([letter], {place: at}, self._membership))
        self._rewind("expired")

    def _measure(self, got: Collected, work: Work, logic_s: float, commit_s: float) -> None:
        metrics, labels = self._metrics, self._labels
        for batch in got.batches:
            metrics.records_consumed.labels(*labels, batch.role).inc(len(batch))
        for send in work.sends:
            metrics.records_produced.labels(*labels, send.role).inc(len(send.values))
        for reason, count in work.dead.items():
            metrics.dead_letters.labels(*labels, reason).inc(count)
        metrics.transactions.labels(*labels).inc()
        metrics.batch_rows.labels(*labels).observe(work.rows)
        metrics.logic_seconds.labels(*labels).observe(logic_s)
        metrics.commit_seconds.labels(*labels).observe(commit_s)
        newest_ms = got.batches[-1].records[-1].timestamp()[1]
        metrics.lag_seconds.labels(*labels).set(max(0, self._last_commit_ms - newest_ms) / 1000)

    # -- outside ----------------------------------------------------------------------------------------------------

    def unready(self) -> str | None:
        """Why this loop cannot serve yet, or None when it can."""
        if self._consumer is None:
            return "reading control topics"
        if self._unplaced:
            return f"{len(self._unplaced)} partitions wait for their committed offsets"
        return self.logic.unready()

    def close(self) -> None:
        """Say goodbye and leave the group. A batch is never open here, so nothing has to be finished."""
        if self._consumer is not None:
            try:
                self._carry_out(self.logic.on_leave())
            except RetriableError as error:
                self._log.warning("leaving_unannounced", error=str(error))
            self._consumer.close()
        self._producer.close()
        self._reports.close()
        self._feed.close()
