"""Versions that failed in service: taken out of service at once, whatever else is going on."""

from freshet.contracts.logic import Announce
from freshet.contracts.messages import Rollout
from freshet.registry.core import announce
from freshet.registry.core.rollouts import go_live
from freshet.registry.core.state import Beat, PipelineState, named
from freshet.registry.core.text import listed


def answer_quarantines(state: PipelineState, now_ms: int) -> list[Announce]:
    """Every admitted version that a worker has quarantined is marked so, and a new epoch without it is live at once.

    A report counts whether or not its worker is still alive: partitions may already be answered by the understudy, and
    only a new epoch brings them out of fallback. Where nothing else may serve, the table is empty and records wait.
    """
    reports: dict[str, list[str]] = {}
    for instance, beat in sorted(state.beats.items()):
        for version in sorted(_reported(state, instance, beat)):
            reports.setdefault(version, []).append(instance)
    if not reports:
        return []
    marked = {
        version: announce.revised(
            state.models[version], now_ms, _why(workers), state="quarantined", reason=_why(workers)
        )
        for version, workers in sorted(reports.items())
    }
    after = state.copy()
    for record in marked.values():
        after.take_model(record)
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
            inputs={"cause": "quarantine", "version": version, "workers": listed(workers)},
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


def _reported(state: PipelineState, instance: str, beat: Beat) -> set[str]:
    """Admitted versions that this worker reports: with all of the same bytes, and without what it was pardoned for."""
    named_by_it = [version for version in set(beat.worker.quarantined) if version in state.models]
    found = {
        other
        for version in named_by_it
        for other in state.same_bytes(state.models[version].manifest.digest)
        if instance not in state.models[other].pardoned
    }
    return set(filter(state.admitted, found))


def spend_pardons(state: PipelineState, now_ms: int) -> list[Announce]:
    """A worker that reports a reinstated version no more is believed again when it reports it the next time."""
    spent = []
    for version in sorted(state.pardoned):
        record = state.models[version]
        still = reporters(state, version)
        left = tuple(name for name in record.pardoned if name in still)
        if left != record.pardoned:
            over = listed(sorted(set(record.pardoned) - set(left)))
            spent.append(
                announce.model(announce.revised(record, now_ms, f"no longer reported by {over}.", pardoned=left))
            )
    return spent


def reporters(state: PipelineState, version: str) -> tuple[str, ...]:
    """Workers whose newest state says that this version, or another of its bytes, failed with them."""
    twins = state.same_bytes(state.models[version].manifest.digest)
    return tuple(name for name in sorted(state.beats) if any(_reports(state, name, twin) for twin in twins))


def _reports(state: PipelineState, instance: str, version: str) -> bool:
    return instance in state.beats and version in state.beats[instance].worker.quarantined


def _why(workers: list[str]) -> str:
    return f"quarantined: it failed in service on {listed(workers)}."
