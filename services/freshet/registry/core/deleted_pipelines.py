"""A pipeline that was deleted: its versions and epochs are forgotten, so that its name can begin anew."""

from freshet.contracts.logic import Announce
from freshet.ledger.ledger import PipelineLedger
from freshet.registry.core import announce


def forget_deleted(ledger: PipelineLedger) -> list[Announce]:
    """Tombstones for every version, refusal and epoch of a deleted pipeline, and the decision that says so.

    All of them together: whoever reads half of an old history could serve an old model under a new specification.
    """
    if not ledger.deleted:
        return []
    numbered, epochs = ledger.versions.records, sorted(ledger.epochs.records)
    versions = [*numbered, *sorted(ledger.versions.refusals)]
    if not (versions or epochs):
        return []
    name, last = ledger.name, str(ledger.epochs.live_epoch)
    inputs = {"versions": str(len(numbered)), "epochs": str(len(epochs)), "last": last}
    reason = f"pipeline {name} was deleted: its {len(numbered)} versions and {len(epochs)} epochs are forgotten."
    return [
        *(Announce("models", f"{name}/{version}", None) for version in versions),
        *(Announce("rollouts", f"{name}/{epoch}", None) for epoch in epochs),
        announce.decision(name, "rollout", last, "done", reason, inputs=inputs),
    ]
