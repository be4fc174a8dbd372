"""A pipeline that was deleted: its versions and epochs are forgotten, so that its name can begin anew."""

from freshet.contracts.logic import Announce
from freshet.registry.core import announce
from freshet.registry.core.state import PipelineState


def forget_deleted(state: PipelineState) -> list[Announce]:
    """Tombstones for every version, refusal and epoch of a deleted pipeline, and the decision that says so.

    All of them together: whoever reads half of an old history could serve an old model under a new specification.
    """
    if not state.deleted:
        return []
    versions = [*state.models, *sorted(state.refused)]
    epochs = sorted(state.rollouts)
    if not (versions or epochs):
        return []
    name = state.name
    inputs = {"versions": str(len(state.models)), "epochs": str(len(epochs)), "last": str(state.live_epoch)}
    reason = f"pipeline {name} was deleted: its {len(state.models)} versions and {len(epochs)} epochs are forgotten."
    return [
        *(Announce("models", f"{name}/{version}", None) for version in versions),
        *(Announce("rollouts", f"{name}/{epoch}", None) for epoch in epochs),
        announce.decision(name, "rollout", str(state.live_epoch), "done", reason, inputs=inputs),
    ]
