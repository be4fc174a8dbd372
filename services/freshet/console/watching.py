"""The one thread that reads Kafka: it folds what comes, asks how far all is, and hands over a snapshot each second."""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Final, TypeVar

import structlog

from freshet.console.asking_kafka import ask_ends, ask_lags, ask_letters
from freshet.console.core.alive import next_silence_ms
from freshet.console.core.aside import Letters
from freshet.console.core.folded import RECENT, WHOLE, Folded
from freshet.console.core.measured import Measurements
from freshet.console.core.overview import KafkaState, overview
from freshet.console.core.pace import Pace
from freshet.console.core.pipeline_screen import Beside, PipelineScreen, pipeline_screen
from freshet.console.snapshot import Snapshot
from freshet.console.training_lines import approval_of, training_lines
from freshet.contracts.errors import FreshetError
from freshet.contracts.messages import WorkerState
from freshet.operate.connection import Connection
from freshet.operate.lag.lag_reader import LagReader
from freshet.runtime.bus.protocol import Place
from freshet.runtime.feed import Feed

T = TypeVar("T")

_READ_S: Final = 0.2
_ENDS_S: Final = 2.0
_LAGS_S: Final = 5.0
_LETTERS_S: Final = 15.0
_WATCHED_S: Final = 60.0
"""Dead letters are read for pipelines that somebody has looked at within so long."""
_AGAIN_S: Final = 1.0
_FIRST_READING_S: Final = 5.0
"""How often everything else is done while what there was at the start is still being read."""
_DAY_MS: Final = 86_400_000
_LEAST_RECORDS: Final = 2000
"""Of topics that grow, the last day is read and at least so many records, so that a quiet pipeline has a past."""
_MOST_RECORDS: Final = 20_000
"""And never more than so many: a start costs the same, however busy the day was."""
_SKEWS: Final = 20


class Watching(threading.Thread):
    """Reads until `stop`. `snapshot` is the newest one; everybody may read it, nobody else writes it."""

    def __init__(self, connection: Connection, stop: threading.Event) -> None:
        super().__init__(name="watching", daemon=True)
        self._connection, self._halt = connection, stop
        self._log = structlog.get_logger("console")
        self._folded = Folded()
        self._measured: dict[str, Measurements] = {}
        self._letters: dict[str, Letters] = {}
        self._lags: dict[str, LagReader] = {}
        self._approvals: dict[str, tuple[tuple[int, int], str]] = {}
        self._due: dict[str, float] = {}
        self._pace = Pace()
        self._skews: deque[int] = deque([0], maxlen=_SKEWS)
        self._feed: Feed | None = None
        self._read = self._topics = self._answered_ms = 0
        self._trouble, self._caught_up = "", False
        self._watched: dict[str, float] = {}
        self._asked: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.snapshot: Snapshot | None = None
        self.build_s = 0.0
        """How long it took to make the newest one."""
        self._built_s = time.monotonic()

    def watch(self, pipeline: str) -> None:
        """Somebody looks at this pipeline's page."""
        self._watched[pipeline] = time.monotonic()

    def ask(self, make: Callable[[Folded], T]) -> "Future[T]":
        """What this thread makes of its facts, between two turns: nobody else may look at them."""
        answer: Future[T] = Future()

        def answered() -> None:
            if answer.set_running_or_notify_cancel():
                try:
                    answer.set_result(make(self._folded))
                except Exception as error:
                    answer.set_exception(error)

        self._asked.put(answered)
        return answer

    @property
    def now_ms(self) -> int:
        """The time by the broker's clock, as far as it is known."""
        return _local_ms() + max(self._skews)

    def age_s(self) -> float:
        """How old the newest snapshot is; before the first, how long this object has been there."""
        return time.monotonic() - self._built_s

    def waits_for(self) -> str:
        """Why pages do not tell of now; empty if they do."""
        if self._trouble or self._caught_up:
            return self._trouble
        return "the console has just started, and has not read yet what there was."

    def run(self) -> None:
        """See `threading.Thread`. Whatever Kafka does, this goes on; a fault of our own is logged, and tried again."""
        while not self._halt.is_set():
            self._guarded(self._turn)
            if self._trouble:
                self._guarded(self._build)  # every page says that Kafka does not answer
                self._halt.wait(_AGAIN_S)
        for reader in self._lags.values():
            reader.close()
        if self._feed is not None:
            self._feed.close()

    def _turn(self) -> None:
        self._take(self._pace.wait_s(self.now_ms, _READ_S))
        if not self._caught_up and not self._is_due("first reading", _FIRST_READING_S):
            return  # what there was is read before anything is made of it
        while not self._asked.empty():
            self._asked.get()()
        pipelines = self._folded.pipelines()
        self._forget(self._measured.keys() - set(pipelines))
        for name in pipelines:
            self._measured.setdefault(name, Measurements())
        if self._is_due("ends", _ENDS_S):
            self._topics = ask_ends(self._connection, self._measured, pipelines, self.now_ms)
            self._answered_ms, self._trouble = self.now_ms, ""
        if self._is_due("lags", _LAGS_S):
            for name in pipelines:
                self._measure(name, self._ask_lags)
                self._build_if_due()
        if self._is_due("letters", _LETTERS_S):
            for name in pipelines:
                if time.monotonic() - self._watched.get(name, -_WATCHED_S) < _WATCHED_S:
                    self._measure(name, self._ask_letters)
                    self._build_if_due()
        self._build_if_due()

    def _forget(self, deleted: Collection[str]) -> None:
        for name in deleted:
            self._letters.pop(name, None)
            del self._measured[name]
            if name in self._lags:
                self._lags.pop(name).close()

    def _measure(self, name: str, ask: Callable[[str], None]) -> None:
        """Ask about one pipeline. If that fails, its numbers stay and grow old; whether Kafka answers at all is asked
        elsewhere.
        """
        try:
            ask(name)
        except FreshetError as error:
            self._log.warning("not_measured", pipeline=name, error=str(error))

    def _ask_lags(self, name: str) -> None:
        if name not in self._lags:
            self._lags[name] = LagReader(self._connection, name)
        ask_lags(self._lags[name], self._measured[name], self.now_ms)

    def _ask_letters(self, name: str) -> None:
        self._letters[name] = ask_letters(self._connection, name, self.now_ms)

    def _is_due(self, what: str, every_s: float) -> bool:
        if time.monotonic() < self._due.get(what, 0.0):
            return False
        self._due[what] = time.monotonic() + every_s
        return True

    def _take(self, wait_s: float) -> None:
        """Fold what has come, or comes within that time."""
        if self._feed is None:
            self._feed = Feed(self._connection.bus().reader((*WHOLE, *RECENT), self._starts()))
        was_caught_up = self._caught_up
        for fact in self._feed.facts(wait_s):
            self._folded.fold(fact)
            self._read += 1
            if was_caught_up and isinstance(fact.message, WorkerState):
                self._skews.append(fact.timestamp_ms - _local_ms())
        self._caught_up = self._caught_up or self._feed.caught_up()
        if len(self._skews) > 1 and self._skews[0] == 0:
            self._skews.popleft()  # the first guess, before any beat had come
        if self._is_due("new topics", 30.0):
            self._feed.mark_ends()

    def _starts(self) -> dict[Place, int]:
        bus = self._connection.bus()
        starts = {Place(role, 0): 0 for role in (*WHOLE, *RECENT)}
        for role in RECENT:
            recent, spans = bus.offsets_at(role, _local_ms() - _DAY_MS), bus.spans(role)
            for at, span in spans.items():
                first = max(span.low, min(recent.get(at, span.low), span.end - _LEAST_RECORDS))
                starts[Place(role, at)] = max(first, span.end - _MOST_RECORDS)
        return starts

    def _build_if_due(self) -> None:
        """Beats that came while Kafka was asked are read first: else who lives could be called silent."""
        if self._pace.is_due(time.monotonic(), self.now_ms):
            self._take(0.0)
            self._build()

    def _build(self) -> None:
        began_s, now_ms = time.monotonic(), self.now_ms
        screens = {name: self._screen(name, now_ms) for name in self._folded.pipelines()}
        kafka = KafkaState(
            address=self._connection.bootstrap_servers,
            answered_ms=self._answered_ms,
            trouble=self._trouble,
            topics=self._topics,
            read=self._read,
            caught_up=self._caught_up,
            skew_ms=max(self._skews),
            newer=self._feed.newer if self._feed is not None else {},
        )
        page = overview(self._folded, list(screens.values()), kafka, self._connection.namespace, now_ms)
        number = self.snapshot.number + 1 if self.snapshot is not None else _local_ms()
        self.snapshot = Snapshot(number, now_ms, page, screens)
        self._built_s = time.monotonic()
        self.build_s = self._built_s - began_s
        self._pace.made(began_s, self._built_s, next_silence_ms(self._folded.ledger, now_ms))

    def _screen(self, name: str, now_ms: int) -> PipelineScreen:
        measured = self._measured.get(name, Measurements())
        beside = Beside(measured, training_lines(self._folded, name), self._letters.get(name), self._approval(name))
        return pipeline_screen(self._folded, name, beside, self._connection.namespace, now_ms)

    def _approval(self, name: str) -> str:
        """Who let the live epoch go live; found out again only when another one is, or a command has come."""
        ledger = self._folded.of(name)
        known = ledger.epochs.live_epoch, len(ledger.commands.asked)
        if self._approvals.get(name, (None, ""))[0] != known:
            self._approvals[name] = known, approval_of(self._folded, name)
        return self._approvals[name][1]

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except FreshetError as error:
            self._fail(str(error))
        except Exception as error:
            self._log.exception("unexpected")
            self._fail(f"the console failed: {error}")

    def _fail(self, why: str) -> None:
        if why != self._trouble:
            self._log.warning("no_answer", error=why)
        self._trouble = why


def _local_ms() -> int:
    return time.time_ns() // 1_000_000
