"""What became of the model that a training has made: whether the registry takes it, and whether it then answers."""

from contextlib import closing
from dataclasses import dataclass
from typing import Final

from freshet.contracts.messages import ModelVersion
from freshet.contracts.training_message import Training
from freshet.operate.connection import Connection
from freshet.operate.facts import published
from freshet.operate.operate_error import LocalError, OperateError
from freshet.operate.patience import patiently
from freshet.operate.pipeline_view import View
from freshet.operate.publication import VERDICT_S
from freshet.operate.training_runs import TRAINING
from freshet.pipeline import PipelineSpec

_LIVE_S: Final = 30.0
_LIVE: Final = "live"


@dataclass(frozen=True, slots=True)
class Fate:
    """The registry's word on a candidate; `live` says whether it answered when that was looked at."""

    model: ModelVersion
    live: bool
    told: str
    """All of it in a sentence or two, with what to do where something waits for a person."""

    @property
    def refused(self) -> bool:
        """Whether it has no version."""
        return self.model.state == "refused"


def fate_of(connection: Connection, training: Training) -> Fate:
    """Wait for what becomes of the candidate of a training that has finished.

    Where the policy rolls it out by itself, that is waited for, too, for half a minute. Raises OperateError if no
    verdict comes in time.
    """
    spec = published(connection, training.pipeline).spec
    with closing(View(connection.bus(), training.pipeline)) as view:
        try:
            model = patiently(
                view,
                connection,
                "the registry's verdict",
                lambda seen: verdict_on(seen, training.training),
                VERDICT_S,
                hint="The candidate is on the topics and will be judged then.",
            )
        except LocalError as error:
            raise OperateError(
                f"training {training.training} has finished, and no verdict on its model came within {VERDICT_S:.0f} "
                f"s. `freshet trainings show {training.training[:8]} --pipeline {training.pipeline}` tells it when it "
                "is there; `freshet doctor` says whether the registry runs."
            ) from error
        waits = what_it_waits_for(spec, training, model)
        if model.state == "admitted" and not waits:
            waits = _waits_after_all(view, model.version)
    live = model.state == "admitted" and not waits
    return Fate(model, live, _told(model, waits, live=live))


def verdict_on(view: View, training: str) -> ModelVersion | None:
    """The version that came of a training, or the refusal of its candidate; None before either."""
    versions = view.ledger.versions
    found = [*versions.refusals.values(), *versions.records.values()]
    return next((one for one in reversed(found) if one.manifest.lineage.get(TRAINING) == training), None)


def what_it_waits_for(spec: PipelineSpec, training: Training, model: ModelVersion) -> str:
    """Why an admitted version of a training does not go live by itself, in a sentence; empty if it does."""
    promote = f"`freshet model promote {model.version} --pipeline {training.pipeline}`"
    policy = spec.rollout.policy
    if spec.retraining.approval == "required":
        return f"It waits for approval: {promote}."
    if policy == "gated" and training.gate == "fail":
        return f"It is not rolled out, since its gate failed; {promote} rolls it out all the same."
    if policy == "gated" and training.gate == "none":
        return f"It is not rolled out, since the pipeline's gate has no clauses; {promote} does it."
    return "" if policy in ("gated", "immediate") else f"The policy is {policy}: it may wait for {promote}."


def _waits_after_all(view: View, version: str) -> str:
    """Why a version that goes live by itself has not done so in time, in a sentence; empty as soon as it has."""
    try:
        found = view.wait("its epoch", lambda seen: _outcome(seen, version), _LIVE_S)
    except LocalError:
        status = f"`freshet model status --pipeline {view.pipeline}`"
        return f"It was not live after {_LIVE_S:.0f} s: {status} shows what is waited for."
    return "" if found == _LIVE else found


def _outcome(view: View, version: str) -> str | None:
    """That it is live, or why the policy holds it back; None before either."""
    if view.ledger.epochs.serving == version:
        return _LIVE
    held_back = (one for one in view.decisions if one.subject == version and one.verdict == "refused")
    return next((f"It is not rolled out: {one.reason}" for one in held_back if one.about == "rollout"), None)


def _told(model: ModelVersion, waits: str, *, live: bool) -> str:
    if model.state == "refused":
        return f"The registry refused its model: {model.reason}"
    if live:
        return f"Its model is live: {model.version} answers."
    return f"Its model is there as {model.version}, {model.state}. {waits}".rstrip()
