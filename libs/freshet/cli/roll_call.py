"""What the control topics hold, and what time it is for the beats on them.

The broker stamps every beat. Its clock may differ from the one of this machine, by which a living worker would then
look dead or a dead one alive. So wherever the clocks could mislead, the next beat is waited for: it brings the
broker's time.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from freshet.cli.control import drained, newest
from freshet.cli.output import say
from freshet.cli.presence import MISSED_BEATS, worker
from freshet.contracts.logic import Fact
from freshet.contracts.messages import WorkerState
from freshet.runtime.bus.protocol import Bus
from freshet.runtime.feed import Feed, roles_of

_WORKERS: Final = "workers"
_AT_ONCE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class RollCall:
    """The facts, and the moment by the broker's clock that beats are to be measured against."""

    facts: list[Fact]
    now_ms: int


def roll_call(bus: Bus, *roles: str, clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> RollCall:
    """All that the workers' topic and these control topics hold now, each in its order, and the broker's time.

    If somebody seems to have fallen silent, or to have beaten in the future, this waits for the next beat of anybody,
    for as long as three beats take at most. Raises RetriableError if the broker falls silent.
    """
    feed = Feed(bus.reader(roles_of([_WORKERS], roles)))
    try:
        facts = drained(feed)
        return _with_time(feed, facts, clock_ms)
    finally:
        feed.close()


def _with_time(feed: Feed, facts: list[Fact], clock_ms: Callable[[], int]) -> RollCall:
    listen_ms = _doubt_ms(facts, clock_ms())
    if not listen_ms:
        return RollCall(facts, clock_ms())
    say(f"listening for the services' next beat, for {listen_ms / 1000:.0f} s at most")
    deadline = time.monotonic() + listen_ms / 1000
    while (left_s := deadline - time.monotonic()) > 0:
        more = list(feed.facts(timeout_s=min(_AT_ONCE_S, left_s)))
        facts += more
        if beats := _beats(more):
            return RollCall(facts, max(beats))
    # Nobody beats: whatever this machine's clock says, each of them has missed its beats by now.
    return RollCall(facts, max(clock_ms(), max(_beats(facts)) + listen_ms))


def _doubt_ms(facts: Iterable[Fact], now_ms: int) -> int:
    """How long to listen until silence means something; 0 where this machine's clock explains all that is there."""
    states = [(found, worker(found, now_ms)) for found in newest(facts, WorkerState).values()]
    doubtful = [
        found.message.interval_ms
        for found, seen in states
        if not found.message.leaving and (not seen.alive or found.timestamp_ms - now_ms > found.message.interval_ms)
    ]
    return MISSED_BEATS * max(doubtful) + 1 if doubtful else 0


def _beats(facts: Iterable[Fact]) -> list[int]:
    return [fact.timestamp_ms for fact in facts if isinstance(fact.message, WorkerState)]
