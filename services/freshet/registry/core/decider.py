"""The registry: admits models, gives them numbers, and alone decides which version answers."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

from freshet.contracts.errors import ContractError
from freshet.contracts.logic import Announce, Cancel, Decider, Fact, Outcome, Start
from freshet.contracts.messages import Rollout
from freshet.contracts.worker import about
from freshet.ledger.epochs import Cause
from freshet.pipeline.catalogue import Catalogue
from freshet.registry.core import announce
from freshet.registry.core.admissions import Admissions, refuse_unsigned, renew_published
from freshet.registry.core.command_answers import answer_command
from freshet.registry.core.deleted_pipelines import forget_deleted
from freshet.registry.core.fallback_recovery import recover
from freshet.registry.core.policy import Opinion, Policy, View
from freshet.registry.core.quarantine import answer_quarantines, spend_pardons
from freshet.registry.core.rollouts import advance, prepare
from freshet.registry.core.state import Pipelines, PipelineState
from freshet.trust.pipeline_trust import TrustBook, no_keys
from freshet.trust.signing_key import SigningKey
from freshet.trust.statements import release_statement
from freshet.trust.trusted_keys import TrustedKeys


class RegistryDecider(Decider):
    """Follows what others ask and report; owns models, rollouts and decisions.

    `decide` takes at most one step of a pipeline, so that every step sees what the last one made: commit and fold what
    it returns, then ask again until it returns nothing. Without a fold in between it repeats its announcements; a job
    is handed out only once.
    """

    follows: ClassVar[tuple[str, ...]] = ("pipelines", "candidates", "workers", "commands")
    owns: ClassVar[tuple[str, ...]] = ("models", "rollouts", "decisions")

    def __init__(self, keys: Callable[[], TrustedKeys | None] = no_keys, release: SigningKey | None = None) -> None:
        """`keys` gives the trusted keys of now; with `release`, every epoch is signed."""
        self._release = release
        self._pipelines = Pipelines(_known_policies(), TrustBook(keys))
        self._admissions = Admissions()
        self._shorter: dict[str, list[Announce]] = {}
        """By pipeline: what stands in for announcements that could not be written."""
        self._unsigned: dict[str, str] = {}
        """By pipeline: which epoch waits for a key, and what is to be done."""

    def fold(self, fact: Fact) -> None:
        """See `Decider`; facts of different roles may come in any order."""
        self._pipelines.fold(fact)

    def on_unreadable(self, role: str, key: str) -> None:
        """See `Decider`. Numbers of epochs and versions are in their keys."""
        self._pipelines.take_number(role, key)

    def on_reread(self, fact: Fact) -> None:
        """See `Decider`."""
        self._pipelines.reread(fact)

    def pipelines(self) -> list[str]:
        """See `Decider`."""
        return [state.name for state in self._pipelines]

    def decide(self, pipeline: str, now_ms: int) -> list[Announce | Start | Cancel]:
        """See `Decider`. The most urgent step, and an admission to start or to give up."""
        state = self._pipelines.state(pipeline)
        self._unsigned.pop(pipeline, None)
        announced = [self._signed(effect) for effect in self._step(state, now_ms)]
        job = self._admissions.next(state, now_ms)  # after the step: that may end the last one
        return [*announced, *([job] if job is not None else [])]

    def warnings(self) -> list[str]:
        """See `Decider`: epochs that are due, and that nobody would believe."""
        return [self._unsigned[pipeline] for pipeline in sorted(self._unsigned)]

    def on_too_large(self, pipeline: str, announced: Sequence[Announce], why: str) -> None:
        """See `Decider`. Nothing else is decided for this pipeline in between: what moves an epoch still holds."""
        self._shorter[pipeline] = announce.shortened(announced, why)

    def on_job(self, outcome: Outcome[Any]) -> None:
        """An admission has ended."""
        self._admissions.end(outcome)

    def _step(self, state: PipelineState, now_ms: int) -> list[Announce]:
        """What is deleted is forgotten at once; else a failing model first, people, what is under way, what is new.

        A step that makes an epoch which nobody would believe waits, and the next one is taken: for want of a key no
        command goes without an answer. It is due again at the next call.
        """
        ledger, unsigned = state.ledger, state.trust.cannot_sign(self._release)
        steps: tuple[Callable[[], list[Announce]], ...] = (
            lambda: self._shorter.pop(state.name, []),
            lambda: forget_deleted(ledger),
            lambda: answer_quarantines(ledger, now_ms),
            lambda: answer_command(state, now_ms, unsigned),
            lambda: advance(ledger, now_ms),
            lambda: renew_published(state, now_ms),
            lambda: refuse_unsigned(state, now_ms),
            lambda: self._admissions.verdict(state, now_ms),
            lambda: _follow_policy(state, now_ms),
            lambda: spend_pardons(ledger, now_ms),
            lambda: recover(ledger, now_ms),
        )
        for step in steps:
            announced = step()
            epoch = next((effect.message for effect in announced if isinstance(effect.message, Rollout)), None)
            if epoch is not None and unsigned:
                self._wait(epoch, unsigned)
            elif announced:
                return announced
        if unsigned and ledger.epochs.open:
            self._wait(ledger.epochs.open[0], unsigned)  # however it ends, that is to be signed
        return []

    def _wait(self, epoch: Rollout, unsigned: str) -> None:
        """Tell that this epoch waits, unless another one is told of the pipeline already."""
        told = f"epoch {epoch.epoch} ({epoch.cause}) waits, for nobody would believe it: {unsigned}"
        self._unsigned.setdefault(epoch.pipeline, about(epoch.pipeline, told))

    def _signed(self, effect: Announce) -> Announce:
        """An epoch's record with its signature."""
        if not isinstance(record := effect.message, Rollout):
            return effect
        signatures = self._release.sign(release_statement(record)) if self._release else {}
        return replace(effect, message=record.model_copy(update={"signatures": signatures}))


def _follow_policy(state: PipelineState, now_ms: int) -> list[Announce]:
    """The rollout that the pipeline's policy asks for, unless one is open or rollouts are paused."""
    rules, ledger = state.rules, state.ledger
    epochs, versions = ledger.epochs, ledger.versions
    if rules is None or rules.spec is None or rules.policy is None or epochs.open or epochs.paused:
        return []
    view = View(
        versions=versions.states,
        serving=epochs.serving,
        tried=epochs.tried,
        records=versions.records,
        approval_required=rules.spec.retraining.approval == "required",
    )
    opinion = rules.policy.opinion(view)
    if opinion is not None:
        return _told(state, opinion, now_ms)
    version = None if view.approval_required else rules.policy.choose(view)
    if version is None:
        return []
    if ledger.against(version):
        return []
    if not versions.may_serve(version) or version == epochs.serving:
        raise ContractError(
            f"policy {rules.policy.kind!r} of pipeline {ledger.name!r} chose {version!r}, which cannot be rolled out: "
            "a policy may only choose an admitted version that does not serve. Mend it, or set another policy."
        )
    cause = Cause(f"policy {rules.policy.kind}")
    return prepare(ledger, version, cause, now_ms + rules.spec.rollout.prepare_timeout.ms)


def _told(state: PipelineState, opinion: Opinion, now_ms: int) -> list[Announce]:
    """The line in the version's history, by which it is told once, and the decision."""
    record = state.ledger.versions.records[opinion.version]
    said = announce.decision(
        state.name, "rollout", opinion.version, opinion.verdict, opinion.reason, inputs=dict(opinion.inputs)
    )
    return [announce.model(announce.revised(record, now_ms, "note", opinion.reason)), said]


@cache
def _known_policies() -> Catalogue[Policy]:
    return Catalogue(Policy, "freshet.policies")
