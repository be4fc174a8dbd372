"""What the control topics hold, and what time it is for the beats on them.

The broker stamps every beat. Its clock may differ from the one of this machine, by which a living worker would then
look dead or a dead one alive. So wherever the clocks could mislead, the next beat is waited for: it brings the
broker's time.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from freshet.contracts.messages import WorkerState
from freshet.ledger.ledger import Ledger
from freshet.ledger.vouching import BelieveAll, Vouching
from freshet.ledger.workers import ALIVE, MISSED_BEATS
from freshet.operate.facts import drained
from freshet.operate.progress import Say, silent
from freshet.runtime.bus.protocol import Bus
from freshet.runtime.feed import Feed, roles_of

_WORKERS: Final = "workers"
_AT_ONCE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class RollCall:
    """What the topics say, and the moment by the broker's clock that beats are to be measured against."""

    ledger: Ledger
    now_ms: int


def roll_call(
    bus: Bus,
    *roles: str,
    say: Say = silent,
    clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    vouching: Callable[[str], Vouching] = lambda _: BelieveAll(),
) -> RollCall:
    """What the workers' topic and these control topics say now, and the broker's time.

    If somebody seems to have fallen silent, or to have beaten in the future, this waits for the next beat of anybody,
    for as long as three beats take at most, which `say` is told. `vouching`: see `Ledger`. Raises RetriableError if the
    broker falls silent.
    """
    feed = Feed(bus.reader(roles_of([_WORKERS], roles)))
    try:
        ledger = Ledger(drained(feed), vouching)
        return RollCall(ledger, _now_ms(feed, ledger, say, clock_ms))
    finally:
        feed.close()


def _now_ms(feed: Feed, ledger: Ledger, say: Say, clock_ms: Callable[[], int]) -> int:
    """The broker's time; what arrives meanwhile is folded."""
    listen_ms = _doubt_ms(ledger, clock_ms())
    if not listen_ms:
        return clock_ms()
    say(f"listening for the services' next beat, for {listen_ms / 1000:.0f} s at most")
    deadline = time.monotonic() + listen_ms / 1000
    while (left_s := deadline - time.monotonic()) > 0:
        more = list(feed.facts(timeout_s=min(_AT_ONCE_S, left_s)))
        for fact in more:
            ledger.fold(fact)
        if beats := [fact.timestamp_ms for fact in more if isinstance(fact.message, WorkerState)]:
            return max(beats)
    # Nobody beats: whatever this machine's clock says, each of them has missed its beats by now.
    return max(clock_ms(), ledger.newest_beat_ms + listen_ms)


def _doubt_ms(ledger: Ledger, now_ms: int) -> int:
    """How long to listen until silence means something; 0 where this machine's clock explains all that is there."""
    doubtful = [
        beat.worker.interval_ms
        for pipeline in ledger
        for beat in pipeline.workers.beats.values()
        if not beat.worker.leaving
        and (beat.state(now_ms) not in ALIVE or beat.timestamp_ms - now_ms > beat.worker.interval_ms)
    ]
    return MISSED_BEATS * max(doubtful) + 1 if doubtful else 0
