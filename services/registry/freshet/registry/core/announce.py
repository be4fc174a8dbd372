"""The registry's records as announcements: the one place that knows their keys."""

from typing import Literal

from freshet.contracts.logic import Announce
from freshet.contracts.messages import Change, Decision, ModelVersion, Rollout, Verdict


def model(record: ModelVersion) -> Announce:
    """State of a version; a refused candidate has no version and is kept by its digest."""
    return Announce("models", f"{record.pipeline}/{record.version or record.manifest.digest}", record)


def rollout(record: Rollout) -> Announce:
    """An epoch: the same key moves from prepare to live or aborted."""
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
        pipeline=pipeline, about=about, subject=subject, verdict=verdict, reason=reason, epoch=epoch, inputs=inputs
    )
    return Announce("decisions", pipeline, record)


def revised(record: ModelVersion, now_ms: int, what: str, **changes: object) -> ModelVersion:
    """The record with these fields changed and one more line of history."""
    history = (*record.history, Change(at_ms=now_ms, what=what))
    return record.model_copy(update={**changes, "history": history})
