"""Partitions that fell back to the understudy, and whose champion is well by now: a new epoch brings them home.

A worker never goes back by itself: a partition only moves to a later position. After a load that was slow once, the
understudy would answer for ever.
"""

from itertools import takewhile
from typing import Final

from freshet.contracts.logic import Announce
from freshet.ledger.epochs import Cause
from freshet.ledger.ledger import PipelineLedger
from freshet.registry.core import announce
from freshet.registry.core.rollouts import repeat_live
from freshet.registry.core.short_text import listed

_CAUSE: Final = "recovered"
_FIRST_WAIT_MS: Final = 60_000
_LONGEST: Final = 6
"""After each epoch of this cause the next waits twice as long, up to 2⁶ minutes: a model that falls again and again
is a matter for people."""


def recover(ledger: PipelineLedger, now_ms: int) -> list[Announce]:
    """The table in force under a new number, if a live worker answers with its understudy and all hold its version."""
    live, version = ledger.epochs.live, ledger.epochs.serving
    if live is None or not version or ledger.epochs.open:
        return []
    workers = ledger.workers.serving()
    fallen = [
        f"{instance}/{held.partition}"
        for instance, worker in workers.items()
        for held in worker.partitions
        if held.fallback and held.epoch == live.epoch
    ]
    well = ledger.versions.may_serve(version) and all(
        version in worker.resident and version not in worker.quarantined for worker in workers.values()
    )
    if not fallen or not well or now_ms - ledger.epochs.since_ms(live.epoch) < _wait_ms(ledger):
        return []
    reason = f"{version} is loaded by all workers, and answers again for {listed(fallen)}."
    inputs = {"cause": _CAUSE, "version": version, "partitions": listed(fallen), "workers": listed(workers)}
    epoch = ledger.next_epoch
    return [
        *repeat_live(ledger, Cause(_CAUSE), paused=live.paused),
        announce.decision(ledger.name, "rollout", str(epoch), "done", reason, inputs=inputs, epoch=epoch),
    ]


def _wait_ms(ledger: PipelineLedger) -> int:
    """How long the epoch in force is left alone: longer after each one in a row that had this cause."""
    last = (ledger.epochs.records.get(ledger.epochs.live_epoch - back) for back in range(_LONGEST))
    again = sum(1 for _ in takewhile(lambda rollout: rollout is not None and rollout.cause == _CAUSE, last))
    return _FIRST_WAIT_MS << again
