"""The registry's records as announcements: the one place that knows their keys, and keeps them short."""

from collections.abc import Sequence
from typing import Final, Literal

from freshet.avro.control import encode
from freshet.contracts.logic import Announce
from freshet.contracts.messages import Change, Decision, ModelVersion, Rollout, Verdict
from freshet.ledger.life_tables import EPOCH, UNKNOWN, VERSION
from freshet.registry.core import short_text

_RECORD_BYTES: Final = 512 * 1024
"""Largest record of a refused candidate; an admitted one's manifest is bounded by admission."""


def model(record: ModelVersion) -> Announce:
    """State of a version; a refused candidate has no version and is kept by the digest of its manifest."""
    record = record.model_copy(
        update={"reason": short_text.clip(record.reason), "history": short_text.bounded(record.history)}
    )
    if not record.version and len(encode(record)) > _RECORD_BYTES:
        record = record.model_copy(update={"manifest": short_text.bare(record.manifest), "chunk_offsets": ()})
    return Announce("models", f"{record.pipeline}/{record.version or record.manifest_id}", record)


def rollout(record: Rollout, before: str = UNKNOWN) -> Announce:
    """An epoch that was in state `before`: the same key moves from prepare to live or aborted."""
    EPOCH.move(before, record.phase)
    return Announce("rollouts", f"{record.pipeline}/{record.epoch}", record)


def decision(
    pipeline: str,
    about: Literal["command", "candidate", "rollout"],
    subject: str,
    verdict: Verdict,
    reason: str,
    *,
    inputs: dict[str, str],
    epoch: int = 0,
) -> Announce:
    """The audit line that belongs to the other records of its batch."""
    record = Decision(
        pipeline=pipeline,
        about=about,
        subject=subject,
        verdict=verdict,
        reason=short_text.clip(reason),
        epoch=epoch,
        inputs={short_text.name(key): short_text.clip(value) for key, value in inputs.items()},
    )
    return Announce("decisions", pipeline, record)


def revised(record: ModelVersion, now_ms: int, deed: str, what: str, **changes: object) -> ModelVersion:
    """The record after an input of a version's life, with these fields changed and one more line of history."""
    history = (*record.history, Change(at_ms=now_ms, what=short_text.clip(what)))
    state = VERSION.move(record.state, deed).state
    return record.model_copy(update={**changes, "state": state, "history": history})


def shortened(announced: Sequence[Announce], why: str) -> list[Announce]:
    """Instead of announcements that are too large for their topics.

    A candidate or a command gets a short refusal. What moves an epoch cannot be refused: it is said without everything
    that nobody needs for it.
    """
    moves = any(isinstance(effect.message, Rollout) for effect in announced)
    reason = f"the answer is larger than its topic takes: {short_text.clip(why, short_text.NAME_BYTES)}"
    found = []
    for effect in announced:
        match effect.message:
            case ModelVersion() as record if moves:
                history = tuple(line.model_copy(update={"what": ""}) for line in record.history)
                found.append(model(record.model_copy(update={"history": history, "chunk_offsets": ()})))
            case ModelVersion() as record if len(record.history) == 1:
                found.append(model(_refused(record, reason)))
            case Decision() as said:
                changes: dict[str, object] = (
                    {"inputs": {}} if moves else {"inputs": {}, "verdict": "refused", "reason": reason}
                )
                found.append(Announce(effect.role, effect.key, said.model_copy(update=changes)))
            case Rollout():
                found.append(effect)
    return found


def _refused(record: ModelVersion, reason: str) -> ModelVersion:
    """The refusal of a candidate that has just been judged, as small as a record of it can be."""
    return ModelVersion(
        pipeline=record.pipeline,
        version="",
        state="refused",
        reason=reason,
        manifest=short_text.bare(record.manifest),
        manifest_id=record.manifest_id,
        candidate_offset=record.candidate_offset,
        history=(Change(at_ms=record.history[0].at_ms, what=reason),),
    )
