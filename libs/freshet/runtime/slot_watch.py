"""Before the worker of a fixed slot fences its predecessor, it makes sure that none serves on another machine.

On one machine `slot.hold_slot` has decided already. Between machines the topic `freshet.workers` tells: a worker that
beats while we watch is alive.
"""

from dataclasses import dataclass
from typing import Final, Literal

import structlog

from freshet.contracts.messages import WorkerState
from freshet.runtime.bus.protocol import Bus
from freshet.runtime.clock import Clock
from freshet.runtime.feed import Feed
from freshet.runtime.settings import SettingsError

_INTERVALS: Final = 2.5
"""For how many of a worker's intervals we watch: two beats fall into them, so that one may be late."""


@dataclass(frozen=True, slots=True)
class Beat:
    """A worker's record, with the broker's time of it."""

    state: WorkerState
    timestamp_ms: int


Verdict = Literal["free", "watch", "taken"]


def judge(before: Beat | None, since: Beat | None, host: str, watched_ms: int) -> Verdict:
    """Whether the slot may be taken by a process on `host`, which has watched it for so long.

    `before` is the slot's newest record of when the watch began, `since` its newest that has come in meanwhile. A
    record of our own host is no question of ours, nor is one of a release that did not say where it runs.
    """
    last = since or before
    if last is None or last.state.leaving or last.state.host in ("", host):
        return "free"
    if since is not None:
        return "taken"
    return "free" if watched_ms >= _INTERVALS * last.state.interval_ms else "watch"


class SlotWatch:
    """Watches one slot's records until it is clear that nobody on another machine serves in it."""

    def __init__(self, bus: Bus, clock: Clock, *, name: str, slot: str, host: str) -> None:
        """`name` is the slot's name among all workers, `host` the machine that we run on."""
        self._bus, self._clock = bus, clock
        self._name, self._slot, self._host = name, slot, host
        self._feed: Feed | None = None
        self._before: Beat | None = None
        self._since: Beat | None = None
        self._newest_ms = 0
        self._began_ms: int | None = None
        self._free = False
        self.waits_for = ""
        """Whom we watch, in a sentence; empty while there is nobody."""

    def free(self, timeout_s: float) -> bool:
        """Look once, waiting at most that long. True once nobody else serves; SettingsError when somebody does."""
        if self._free:
            return True
        self._read(timeout_s)
        if self._began_ms is None:
            return False
        verdict = judge(self._before, self._since, self._host, self._clock.elapsed_ms() - self._began_ms)
        last = self._since or self._before
        if verdict == "taken" and last is not None:
            self.close()
            raise SettingsError(self._taken(last))
        if verdict == "watch" and last is not None and not self.waits_for:
            self.waits_for = f"slot {self._slot} was last that of {_process(last)}: does it still beat?"
            structlog.get_logger("main").info("watching_slot", reason=self.waits_for)
        self._free = verdict == "free"
        if self._free:
            self.waits_for = ""
            self.close()
        return self._free

    def close(self) -> None:
        """Free the reader."""
        if self._feed is not None:
            self._feed.close()
            self._feed = None

    def _read(self, timeout_s: float) -> None:
        """Read new records. Those that were there at the start go to `_before`, all later ones to `_since`."""
        if self._feed is None:
            self._feed = Feed(self._bus.reader(("workers",)))
        if self._began_ms is None and self._feed.caught_up():
            self._began_ms = self._clock.elapsed_ms()
        if self._began_ms is not None and self._before is None:
            return  # nobody has ever been here
        for fact in self._feed.facts(timeout_s):
            self._newest_ms = max(self._newest_ms, fact.timestamp_ms)
            if fact.key != self._name:
                continue
            beat = Beat(fact.message, fact.timestamp_ms) if isinstance(fact.message, WorkerState) else None
            if self._began_ms is None:
                self._before = beat
            else:
                self._since = beat

    def _taken(self, last: Beat) -> str:
        age_s = max(self._newest_ms - last.timestamp_ms, 0) / 1000  # both are the broker's time
        return (
            f"slot {self._slot} of {last.state.service} on pipeline {last.state.pipeline} is taken by "
            f"{_process(last)}, which reported {age_s:.0f} s ago: choose another --slot or stop it."
        )


def _process(beat: Beat) -> str:
    return f"process {beat.state.pid} on host {beat.state.host}"
