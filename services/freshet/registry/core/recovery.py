"""Partitions that fell back to the understudy, and whose champion is well by now: a new epoch brings them home.

A worker never goes back by itself: a partition only moves to a later position. After a load that was slow once, the
understudy would answer for ever.
"""

from itertools import takewhile
from typing import Final

from freshet.contracts.logic import Announce
from freshet.registry.core import announce
from freshet.registry.core.rollouts import repeat_live
from freshet.registry.core.state import PipelineState, named
from freshet.registry.core.text import listed

_CAUSE: Final = "recovered"
_FIRST_WAIT_MS: Final = 60_000
_LONGEST: Final = 6
"""After each epoch of this cause the next waits twice as long, up to 2⁶ minutes: a model that falls again and again
is a matter for people."""


def recover(state: PipelineState, now_ms: int) -> list[Announce]:
    """The table in force under a new number, if a live worker answers with its understudy and all hold its version."""
    live = state.live
    if live is None or not live.table or state.prepares:
        return []
    version, workers = named(live), state.live_workers()
    fallen = [
        f"{instance}/{held.partition}"
        for instance, worker in workers.items()
        for held in worker.partitions
        if held.fallback and held.epoch == live.epoch
    ]
    well = state.admitted(version) and all(
        version in worker.resident and version not in worker.quarantined for worker in workers.values()
    )
    if not fallen or not well or now_ms - state.live_since_ms < _wait_ms(state):
        return []
    reason = f"{version} is loaded by all workers, and answers again for {listed(fallen)}."
    inputs = {"cause": _CAUSE, "version": version, "partitions": listed(fallen), "workers": listed(workers)}
    epoch = state.next_epoch
    return [
        *repeat_live(state, _CAUSE, paused=state.paused),
        announce.decision(state.name, "rollout", str(epoch), "done", reason, inputs=inputs, epoch=epoch),
    ]


def _wait_ms(state: PipelineState) -> int:
    """How long the epoch in force is left alone: longer after each one in a row that had this cause."""
    last = (state.rollouts.get(state.live_epoch - back) for back in range(_LONGEST))
    again = sum(1 for _ in takewhile(lambda rollout: rollout is not None and rollout.cause == _CAUSE, last))
    return _FIRST_WAIT_MS << again
