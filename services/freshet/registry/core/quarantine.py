"""Versions that failed in service: taken out of service at once, whatever else is going on."""

from freshet.contracts.logic import Announce
from freshet.contracts.messages import Rollout, WorkerState
from freshet.ledger.epochs import Cause, champion, understudy
from freshet.ledger.ledger import PipelineLedger
from freshet.registry.core import announce
from freshet.registry.core.rollouts import go_live
from freshet.registry.core.short_text import listed


def answer_quarantines(ledger: PipelineLedger, now_ms: int) -> list[Announce]:
    """Every admitted version that a worker has quarantined is marked so, and a new epoch without it is live at once.

    A report counts whether or not its worker is still alive: partitions may already be answered by the understudy, and
    only a new epoch brings them out of fallback. Where nothing else may serve, the table is empty and records wait.
    """
    reports: dict[str, list[str]] = {}
    for instance, beat in ledger.workers.of("inference"):
        for version in sorted(_reported(ledger, instance, beat.worker)):
            reports.setdefault(version, []).append(instance)
    if not reports:
        return []
    marked = {
        version: announce.revised(ledger.versions.records[version], now_ms, "fail", _why(workers), reason=_why(workers))
        for version, workers in sorted(reports.items())
    }
    moves = _new_epoch(ledger.after(marked.values()), set(marked), now_ms)
    epoch = ledger.next_epoch if moves else 0
    decisions = [
        announce.decision(
            ledger.name,
            "rollout",
            str(epoch or ledger.epochs.live_epoch),
            "done",
            f"{version} is {_why(workers)}",
            epoch=epoch,
            inputs={"cause": "quarantine", "version": version, "workers": listed(workers)},
        )
        for version, workers in sorted(reports.items())
    ]
    return [*(announce.model(record) for record in marked.values()), *moves, *decisions]


def _new_epoch(after: PipelineLedger, quarantined: set[str], now_ms: int) -> list[Announce]:
    """The epoch without these versions; nothing if the one in force keeps none of them loaded."""
    live = after.epochs.live
    if live is None or quarantined.isdisjoint(live.resident):
        return []
    cause = Cause(f"quarantine {' '.join(sorted(quarantined))}")
    return go_live(after, _successor_of(after, live), cause, now_ms)


def _successor_of(after: PipelineLedger, live: Rollout) -> str:
    """Who answers from now on: the same, else the understudy that already does, else the last to serve before."""
    serving = champion(live)
    if after.versions.may_serve(serving):
        return serving
    choices = (understudy(live), *after.served_before(serving))
    return next((found for found in choices if after.versions.may_serve(found) and not after.against(found)), "")


def _reported(ledger: PipelineLedger, instance: str, worker: WorkerState) -> set[str]:
    """Admitted versions that this worker reports: with all of the same bytes, and without what it was pardoned for."""
    versions = ledger.versions
    found = {
        other
        for version in {*worker.quarantined} & versions.records.keys()
        for other in versions.same_bytes(versions.records[version].manifest.digest)
        if instance not in versions.records[other].pardoned
    }
    return set(filter(versions.may_serve, found))


def spend_pardons(ledger: PipelineLedger, now_ms: int) -> list[Announce]:
    """A worker that reports a reinstated version no more is believed again when it reports it the next time."""
    spent = []
    for version in sorted(ledger.versions.pardoned):
        record = ledger.versions.records[version]
        still = reporters(ledger, version)
        left = tuple(name for name in record.pardoned if name in still)
        if left != record.pardoned:
            what = f"no longer reported by {listed(sorted(set(record.pardoned) - set(left)))}."
            spent.append(announce.model(announce.revised(record, now_ms, "note", what, pardoned=left)))
    return spent


def reporters(ledger: PipelineLedger, version: str) -> tuple[str, ...]:
    """Workers whose newest state says that this version, or another of its bytes, failed with them."""
    twins = set(ledger.versions.same_bytes(ledger.versions.records[version].manifest.digest))
    return tuple(name for name, beat in ledger.workers.of("inference") if twins & {*beat.worker.quarantined})


def _why(workers: list[str]) -> str:
    return f"quarantined: it failed in service on {listed(workers)}."
