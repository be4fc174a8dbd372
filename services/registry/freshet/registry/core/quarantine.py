"""Versions that failed in service: taken out of service at once, whatever else is going on."""

from dataclasses import replace

from freshet.contracts.logic import Announce
from freshet.contracts.messages import Rollout
from freshet.registry.core import announce
from freshet.registry.core.rollouts import go_live
from freshet.registry.core.state import PipelineState, named


def answer_quarantines(state: PipelineState, now_ms: int) -> list[Announce]:
    """Every admitted version that a worker has quarantined is marked so, and a new epoch without it is live at once.

    A report counts whether or not its worker is still alive: partitions may already be answered by the understudy, and
    only a new epoch brings them out of fallback. Where nothing else may serve, the table is empty and records wait.
    """
    reports: dict[str, list[str]] = {}
    for instance, beat in sorted(state.beats.items()):
        for version in filter(state.admitted, sorted(set(beat.worker.quarantined))):
            reports.setdefault(version, []).append(instance)
    if not reports:
        return []
    marked = {
        version: announce.revised(
            state.models[version], now_ms, _why(workers), state="quarantined", reason=_why(workers)
        )
        for version, workers in sorted(reports.items())
    }
    after = replace(state, models=state.models | marked)
    moves = _new_epoch(after, set(marked), now_ms)
    epoch = state.next_epoch if moves else 0
    decisions = [
        announce.decision(
            state.name,
            "rollout",
            str(epoch or state.live_epoch),
            "done",
            f"{version} is {_why(workers)}",
            epoch=epoch,
            inputs={"cause": "quarantine", "version": version, "workers": ", ".join(workers)},
        )
        for version, workers in sorted(reports.items())
    ]
    return [*(announce.model(record) for record in marked.values()), *moves, *decisions]


def _new_epoch(after: PipelineState, quarantined: set[str], now_ms: int) -> list[Announce]:
    """The epoch without these versions; nothing if the one in force keeps none of them loaded."""
    live = after.live
    if live is None or quarantined.isdisjoint(live.resident):
        return []
    cause = f"quarantine {' '.join(sorted(quarantined))}"
    return go_live(after, _successor_of(after, live), cause, now_ms)


def _successor_of(after: PipelineState, live: Rollout) -> str:
    """Who answers from now on: the same, else the understudy that already does, else the last to serve before."""
    serving = named(live)
    choices = (serving, live.understudies.get(serving, ""), *after.served_before(serving))
    return next(filter(after.admitted, choices), "")


def _why(workers: list[str]) -> str:
    return f"quarantined: it failed in service on {', '.join(workers)}."
