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
from freshet.ledger.epochs import Cause, champion, named_by, understudy
from freshet.ledger.ledger import PipelineLedger
from freshet.ledger.manifest_id import manifest_id
from freshet.ledger.versions import admission_order
from freshet.registry.core import announce
from freshet.registry.core.rollback_words import passed_over
from freshet.registry.core.short_text import listed

_ALL_ENTITIES: Final = 10_000
_GONE_MS: Final = 300_000
"""A worker that was silent for so long before a prepare opened is not asked. The only comparison of the registry's
clock with the broker's: they may differ by this much, and nothing goes live unasked."""


def prepare(ledger: PipelineLedger, version: str, cause: Cause, deadline_ms: int, left: str = "") -> list[Announce]:
    """Ask the workers to load this version; what is being prepared is aborted, so that one prepare is open at most.

    `left` as for `go_live`.
    """
    opened = _successor(ledger, version, cause, "prepare", left=left, deadline_ms=deadline_ms)
    return [*overtake(ledger, cause), announce.rollout(opened)]


def advance(ledger: PipelineLedger, now_ms: int) -> list[Announce]:
    """What becomes of the open prepare: live once all live workers hold it, aborted if that cannot be, else nothing."""
    if not ledger.epochs.open:
        return []
    opened = ledger.epochs.open[0]
    workers = _asked(ledger, opened.epoch)
    answers = {instance: _answer(worker, opened.epoch) for instance, worker in workers.items()}
    hindrance = _hindrance(ledger, opened, answers, now_ms)
    if hindrance:
        return _abort(opened, hindrance, answers)
    if any(answer is None for answer in answers.values()):
        return []
    live = opened.model_copy(update={"phase": "live"})
    reason = f"epoch {live.epoch} is live: {champion(live)} answers. Loaded by {listed(workers) or 'no worker yet'}."
    asked = ledger.commands.open.get(live.command_id)
    if asked is not None and asked.command.action == "rollback":
        reason += passed_over(ledger, asked.command, champion(live))
    return [
        announce.rollout(live, before=opened.phase),
        _conclusion(live, "done", reason, answers, epoch=live.epoch),
        *_move_aliases(ledger, live, now_ms),
    ]


def held(ledger: PipelineLedger, version: str) -> bool:
    """Whether the version may answer at once, since a worker that is alive has it in memory.

    One is enough: a worker that lacks it goes on with what it holds until it has loaded it, and none is to hold up a
    rescue. Where no worker is alive, the epoch in force says what they held, and what they load when they come.
    """
    live, workers = ledger.epochs.live, ledger.workers.serving().values()
    if not workers:
        return live is not None and version in live.resident
    return any(version in worker.resident and version not in worker.quarantined for worker in workers)


def go_live(ledger: PipelineLedger, version: str, cause: Cause, now_ms: int, left: str = "") -> list[Announce]:
    """An epoch that is live at once, without a prepare; an open prepare is aborted.

    `left` is the version that a rollback leaves: it stands in for nobody from now on.
    """
    live = _successor(ledger, version, cause, "live", left=left)
    return [*overtake(ledger, cause), announce.rollout(live), *_move_aliases(ledger, live, now_ms)]


def overtake(ledger: PipelineLedger, cause: Cause) -> list[Announce]:
    """End what is being prepared: after a new live epoch it would have a lower number, and never be in force."""
    why = f"overtaken by {' '.join(filter(None, cause))}."
    return [effect for opened in ledger.epochs.open for effect in _abort(opened, why, {})]


def repeat_live(ledger: PipelineLedger, cause: Cause, *, paused: bool) -> list[Announce]:
    """The epoch in force under a new number, paused or not; before the first epoch, one with an empty table."""
    changes: dict[str, object] = {"paused": paused}
    before = ledger.epochs.live
    if before is not None:
        changes |= {"understudies": before.understudies, "resident": before.resident}
    live = _attested(ledger, _successor(ledger, champion(before), cause, "live").model_copy(update=changes))
    return [*overtake(ledger, cause), announce.rollout(live)]


def _successor(
    ledger: PipelineLedger, version: str, cause: Cause, phase: Phase, *, left: str = "", deadline_ms: int = 0
) -> Rollout:
    spare = _previous(ledger, version, left)
    epochs, live = ledger.epochs, ledger.epochs.live
    record = Rollout(
        pipeline=ledger.name,
        epoch=ledger.next_epoch,
        phase=phase,
        table=(Share(version=version, share=_ALL_ENTITIES),) if version else (),
        salt=ledger.name,
        understudies={version: spare} if version and spare else {},
        resident=tuple(sorted({version, spare} - {""})),
        paused=epochs.paused,
        expected_previous=epochs.live_epoch,
        previous_digest=sha256(encode(live)).hexdigest() if live else "",
        revoked=tuple(sorted(ledger.revoked())),
        deadline_ms=deadline_ms,
        cause=cause.what,
        command_id=cause.command_id,
        life=ledger.life,
    )
    return _attested(ledger, record)


def _attested(ledger: PipelineLedger, record: Rollout) -> Rollout:
    """The record with the manifests of all versions that it names: a number alone could come to mean another model."""
    known = ledger.versions.records
    manifests = {name: manifest_id(known[name].manifest) for name in sorted(named_by(record)) if name in known}
    return record.model_copy(update={"manifests": manifests})


def _previous(ledger: PipelineLedger, version: str, left: str) -> str:
    """Who is to stand in for this version, and where a rollback from it goes; empty if nobody."""
    return next((other for other in ledger.served_before(version) if other != left), "")


def _move_aliases(ledger: PipelineLedger, live: Rollout, now_ms: int) -> list[Announce]:
    """Versions whose aliases change under this epoch: champion is who answers, previous where a rollback goes.

    That is the understudy that the epoch names, since workers keep no other in memory. Who would be named today may be
    another: a version can come back from quarantine while the epoch is prepared.
    """
    serving = champion(live)
    previous = understudy(live)
    moved, versions = [], ledger.versions
    for version in sorted((versions.aliased | {serving, previous}) & versions.records.keys(), key=admission_order):
        record = versions.records[version]
        aliases = {serving: ("champion",), previous: ("previous",)}.get(version, ())
        if aliases != record.aliases:
            what = f"epoch {live.epoch}: {' '.join(aliases) or 'no longer ' + ' '.join(record.aliases)}"
            moved.append(announce.model(announce.revised(record, now_ms, "note", what, aliases=aliases)))
    return moved


def _asked(ledger: PipelineLedger, epoch: int) -> Mapping[str, WorkerState]:
    """Workers whose word an open prepare waits for, by instance.

    Those that serve of all that were about when it opened and have not said good-bye. Where none does, all of them:
    silence is no consent, the model itself may have killed them.
    """
    since_ms = ledger.epochs.since_ms(epoch) - _GONE_MS
    beats = ledger.workers.of("inference")
    about = {key: beat.worker for key, beat in beats if beat.timestamp_ms >= since_ms and not beat.worker.leaving}
    serving = ledger.workers.serving()
    return {key: worker for key, worker in about.items() if key in serving} or about


def _answer(worker: WorkerState, epoch: int) -> Prepared | None:
    return next((prepared for prepared in worker.prepared if prepared.epoch == epoch), None)


def _hindrance(ledger: PipelineLedger, opened: Rollout, answers: Mapping[str, Prepared | None], now_ms: int) -> str:
    """Why the open prepare can no longer go live; empty if it can."""
    live = ledger.epochs.live_epoch
    if opened.expected_previous != live:
        return f"it was to follow epoch {opened.expected_previous}, but {live} is live."
    fallen = [version for version in opened.resident if not ledger.versions.may_serve(version)]
    distrusted = [f"{version}: {why}" for version in opened.resident if (why := ledger.against(version))]
    if fallen or distrusted:
        return f"{listed(fallen)} may no longer serve." if fallen else distrusted[0]
    asked = ledger.commands.open.get(opened.command_id)
    if asked is not None and asked.command.withdrawn:
        return "whoever asked for it has withdrawn it."
    for instance, answer in answers.items():
        if answer is not None and answer.verdict != "ok":
            return f"worker {instance} answered {answer.verdict}: {answer.detail or 'no detail'}"
    if now_ms > opened.deadline_ms:
        silent = listed(instance for instance, answer in answers.items() if answer is None)
        return f"its deadline has passed; not prepared: {silent or 'no worker'}. Look at their logs, or ask again."
    return ""


def _abort(opened: Rollout, why: str, answers: Mapping[str, Prepared | None]) -> list[Announce]:
    reason = f"epoch {opened.epoch} with {champion(opened)} is aborted: {why}"
    return [
        announce.rollout(opened.model_copy(update={"phase": "aborted"}), before=opened.phase),
        _conclusion(opened, "refused", reason, answers),
    ]


def _conclusion(
    rollout: Rollout, verdict: Verdict, reason: str, answers: Mapping[str, Prepared | None], epoch: int = 0
) -> Announce:
    """The one decision that ends a prepare: the answer to the command that asked for it, if one did."""
    inputs = {"version": champion(rollout), "cause": rollout.cause, "previous_epoch": str(rollout.expected_previous)}
    inputs |= {f"worker {instance}": answer.verdict if answer else "silent" for instance, answer in answers.items()}
    if asked := rollout.command_id:
        return announce.decision(rollout.pipeline, "command", asked, verdict, reason, epoch=epoch, inputs=inputs)
    subject = str(rollout.epoch)
    return announce.decision(rollout.pipeline, "rollout", subject, verdict, reason, epoch=epoch, inputs=inputs)
