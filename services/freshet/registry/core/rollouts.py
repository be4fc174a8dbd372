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
from freshet.registry.core.state import ROLLBACK, PipelineState, named, understudy
from freshet.registry.core.text import listed
from freshet.registry.core.versions import Version

_ALL_ENTITIES: Final = 10_000
PROMOTE: Final = "promote "
"""Begins the cause of an epoch that an operator's promote made; the command's id follows, as with `ROLLBACK`."""


def asker(rollout: Rollout) -> str:
    """Id of the command that asked for this epoch, empty if none did: in the cause, so that it survives a restart."""
    word = next(filter(rollout.cause.startswith, (PROMOTE, ROLLBACK)), "")
    return rollout.cause.removeprefix(word) if word else ""


def prepare(state: PipelineState, version: str, cause: str, deadline_ms: int, left: str = "") -> list[Announce]:
    """Ask the workers to load this version; what is being prepared is aborted, so that one prepare is open at most.

    `left` as for `go_live`.
    """
    opened = _successor(state, version, cause, "prepare", left=left, deadline_ms=deadline_ms)
    return [*_overtake(state, cause), announce.rollout(opened)]


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


def held(state: PipelineState, version: str) -> bool:
    """Whether the version may answer at once, since a worker that is alive has it in memory.

    One is enough: a worker that lacks it goes on with what it holds until it has loaded it, and none is to hold up a
    rescue. Where no worker is alive, the epoch in force says what they held, and what they load when they come.
    """
    workers = state.live_workers().values()
    if not workers:
        return state.live is not None and version in state.live.resident
    return any(version in worker.resident and version not in worker.quarantined for worker in workers)


def go_live(state: PipelineState, version: str, cause: str, now_ms: int, left: str = "") -> list[Announce]:
    """An epoch that is live at once, without a prepare; an open prepare is aborted.

    `left` is the version that a rollback leaves: it stands in for nobody from now on.
    """
    live = _successor(state, version, cause, "live", left=left)
    return [*_overtake(state, cause), announce.rollout(live), *_move_aliases(state, live, now_ms)]


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
    spare = _previous(state, version, left)
    live = state.live
    return Rollout(
        pipeline=state.name,
        epoch=state.next_epoch,
        phase=phase,
        table=(Share(version=version, share=_ALL_ENTITIES),) if version else (),
        salt=state.name,
        understudies={version: spare} if version and spare else {},
        resident=tuple(sorted({version, spare} - {""})),
        paused=state.paused,
        expected_previous=state.live_epoch,
        previous_digest=sha256(encode(live)).hexdigest() if live else "",
        revoked=tuple(sorted(state.revoked())),
        deadline_ms=deadline_ms,
        cause=cause,
    )


def _previous(state: PipelineState, version: str, left: str) -> str:
    """Who is to stand in for this version, and where a rollback from it goes; empty if nobody."""
    return next((other for other in state.served_before(version) if other != left), "")


def _move_aliases(state: PipelineState, live: Rollout, now_ms: int) -> list[Announce]:
    """Versions whose aliases change under this epoch: champion is who answers, previous where a rollback goes.

    That is the understudy that the epoch names, since workers keep no other in memory. Who would be named today may be
    another: a version can come back from quarantine while the epoch is prepared.
    """
    champion = named(live)
    previous = understudy(live)
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
    asked = state.commands.get(asker(opened))
    if asked is not None and asked.command.withdrawn:
        return "whoever asked for it has withdrawn it."
    for instance, answer in answers.items():
        if answer is not None and answer.verdict != "ok":
            return f"worker {instance} answered {answer.verdict}: {answer.detail or 'no detail'}"
    if now_ms > opened.deadline_ms:
        silent = listed(instance for instance, answer in answers.items() if answer is None)
        return f"its deadline has passed; not prepared: {silent or 'no worker'}. Look at their logs, or ask again."
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
    asked = asker(rollout)
    if asked:
        return announce.decision(rollout.pipeline, "command", asked, verdict, reason, epoch=epoch, inputs=inputs)
    subject = str(rollout.epoch)
    return announce.decision(rollout.pipeline, "rollout", subject, verdict, reason, epoch=epoch, inputs=inputs)
