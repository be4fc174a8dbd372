"""Epochs: how one is prepared, goes live or is aborted.

Correctness rests on the numbers alone: every epoch takes a number above all that were ever used, names the live epoch
that it follows, and live is the highest number in phase live. Waiting for workers before going live is only for
availability, so a stale view of who is alive does no harm. Silence is not consent all the same: a model that kills its
workers must not go live because nobody is left to object.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from freshet.avro.control import encode
from freshet.contracts.logic import Announce
from freshet.contracts.messages import Phase, Prepared, Rollout, Share, Verdict, WorkerState
from freshet.registry.core import announce
from freshet.registry.core.state import PipelineState, named
from freshet.registry.core.text import listed
from freshet.registry.core.versions import Version

_ALL_ENTITIES: Final = 10_000
_PROMOTE: Final = "promote "
"""An epoch with this cause carries the id of the command that asked for it, so that the command survives a restart."""


def promotion(command_id: str) -> str:
    """The cause of an epoch that a promote command asked for."""
    return _PROMOTE + command_id


def prepare(state: PipelineState, version: str, cause: str, deadline_ms: int) -> list[Announce]:
    """Ask the workers to load this version; only when no other prepare is open."""
    assert not state.prepares, f"{state.name}: epoch {state.prepares[0].epoch} is still being prepared"
    return [announce.rollout(_successor(state, version, cause, "prepare", deadline_ms=deadline_ms))]


def advance(state: PipelineState, now_ms: int) -> list[Announce]:
    """What becomes of the open prepare: live once all live workers hold it, aborted if that cannot be, else nothing."""
    if not state.prepares:
        return []
    opened = state.prepares[0]
    workers = state.asked_workers(opened.epoch)
    answers = {instance: _answer(worker, opened.epoch) for instance, worker in workers.items()}
    hindrance = _hindrance(state, opened, answers, now_ms)
    if hindrance:
        return _abort(opened, hindrance, answers)
    if any(answer is None for answer in answers.values()):
        return []
    live = opened.model_copy(update={"phase": "live"})
    reason = f"epoch {live.epoch} is live: {named(live)} answers. Loaded by {listed(workers) or 'no worker yet'}."
    return [
        announce.rollout(live),
        _conclusion(live, "done", reason, answers, epoch=live.epoch),
        *_move_aliases(state, live, now_ms),
    ]


def go_live(state: PipelineState, version: str, cause: str, now_ms: int, left: str = "") -> list[Announce]:
    """An epoch that is live at once, without a prepare; an open prepare is aborted.

    `left` is the version that a rollback leaves: it stands in for nobody from now on.
    """
    live = _successor(state, version, cause, "live", left=left)
    return [*_overtake(state, cause), announce.rollout(live), *_move_aliases(state, live, now_ms, left)]


def repeat_live(state: PipelineState, cause: str, *, paused: bool) -> list[Announce]:
    """The epoch in force under a new number, paused or not; before the first epoch, one with an empty table."""
    changes: dict[str, object] = {"paused": paused}
    if state.live is not None:
        changes |= {"understudies": state.live.understudies, "resident": state.live.resident}
    live = _successor(state, state.serving, cause, "live").model_copy(update=changes)
    return [*_overtake(state, cause), announce.rollout(live)]


def _successor(
    state: PipelineState, version: str, cause: str, phase: Phase, *, left: str = "", deadline_ms: int = 0
) -> Rollout:
    understudy = _previous(state, version, left)
    live = state.live
    return Rollout(
        pipeline=state.name,
        epoch=state.next_epoch,
        phase=phase,
        table=(Share(version=version, share=_ALL_ENTITIES),) if version else (),
        salt=state.name,
        understudies={version: understudy} if version and understudy else {},
        resident=tuple(sorted({version, understudy} - {""})),
        paused=state.paused,
        expected_previous=state.live_epoch,
        previous_digest=sha256(encode(live)).hexdigest() if live else "",
        revoked=tuple(sorted(state.revoked())),
        deadline_ms=deadline_ms,
        cause=cause,
    )


def _previous(state: PipelineState, version: str, left: str) -> str:
    """Who stands in for this version, and where a rollback from it goes; empty if nobody."""
    return next((other for other in state.served_before(version) if other != left), "")


def _move_aliases(state: PipelineState, live: Rollout, now_ms: int, left: str = "") -> list[Announce]:
    """Versions whose aliases change under this epoch: champion is who answers, previous where a rollback goes."""
    champion = named(live)
    previous = _previous(state, champion, left)
    moved = []
    for version in sorted((state.aliased | {champion, previous}) & state.models.keys(), key=Version.parse):
        record = state.models[version]
        aliases = {champion: ("champion",), previous: ("previous",)}.get(version, ())
        if aliases != record.aliases:
            what = f"epoch {live.epoch}: {' '.join(aliases) or 'no longer ' + ' '.join(record.aliases)}"
            moved.append(announce.model(announce.revised(record, now_ms, what, aliases=aliases)))
    return moved


def _answer(worker: WorkerState, epoch: int) -> Prepared | None:
    return next((prepared for prepared in worker.prepared if prepared.epoch == epoch), None)


def _hindrance(state: PipelineState, opened: Rollout, answers: Mapping[str, Prepared | None], now_ms: int) -> str:
    """Why the open prepare can no longer go live; empty if it can."""
    if opened.expected_previous != state.live_epoch:
        return f"it was to follow epoch {opened.expected_previous}, but {state.live_epoch} is live."
    fallen = [version for version in opened.resident if not state.admitted(version)]
    if fallen:
        return f"{listed(fallen)} may no longer serve."
    asked = state.commands.get(opened.cause.removeprefix(_PROMOTE))
    if asked is not None and asked.command.withdrawn:
        return "whoever asked for it has withdrawn it."
    for instance, answer in answers.items():
        if answer is not None and answer.verdict != "ok":
            return f"worker {instance} answered {answer.verdict}: {answer.detail or 'no detail'}"
    if now_ms > opened.deadline_ms:
        silent = listed(instance for instance, answer in answers.items() if answer is None)
        return (
            f"its deadline has passed; not prepared: {silent or 'no worker'}. Look at their logs, or promote it again."
        )
    return ""


def _overtake(state: PipelineState, cause: str) -> list[Announce]:
    """A new live epoch ends what is being prepared, which would go live under a lower number and never be in force."""
    return [effect for opened in state.prepares for effect in _abort(opened, f"overtaken by {cause}.", {})]


def _abort(opened: Rollout, why: str, answers: Mapping[str, Prepared | None]) -> list[Announce]:
    reason = f"epoch {opened.epoch} with {named(opened)} is aborted: {why}"
    return [
        announce.rollout(opened.model_copy(update={"phase": "aborted"})),
        _conclusion(opened, "refused", reason, answers),
    ]


def _conclusion(
    rollout: Rollout, verdict: Verdict, reason: str, answers: Mapping[str, Prepared | None], epoch: int = 0
) -> Announce:
    """The one decision that ends a prepare: the answer to the command that asked for it, if one did."""
    inputs = {"version": named(rollout), "cause": rollout.cause, "previous_epoch": str(rollout.expected_previous)}
    inputs |= {f"worker {instance}": answer.verdict if answer else "silent" for instance, answer in answers.items()}
    if rollout.cause.startswith(_PROMOTE):
        asked = rollout.cause.removeprefix(_PROMOTE)
        return announce.decision(rollout.pipeline, "command", asked, verdict, reason, epoch=epoch, inputs=inputs)
    subject = str(rollout.epoch)
    return announce.decision(rollout.pipeline, "rollout", subject, verdict, reason, epoch=epoch, inputs=inputs)
