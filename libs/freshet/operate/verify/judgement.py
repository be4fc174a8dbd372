"""A judgement as people and programs read it."""

from dataclasses import asdict
from typing import Any, Final

from freshet.operate.verify.findings import Judgement

_INPUTS: Final = {"events": "events", "feedback": "labels sent as feedback", "features": "feature vectors"}


def sentence(judgement: Judgement) -> str:
    """The verdict in plain words: how much was judged, then what was not and why."""
    counts = (
        f"{judgement.answered:,} predictions and {judgement.dead:,} dead letters were read; "
        f"{judgement.pending:,} inputs are still on their way"
    )
    judged = judgement.judged - judgement.pending
    match judgement.verdict:
        case "broken":
            breaches = sum(finding.breaches for finding in judgement.findings)
            said = f"{breaches:,} breaches, each shown as partition/offset: look there with `freshet topic tail`"
        case "nothing" if any(judgement.inputs.values()):
            said = "Nothing could be judged"
        case "nothing":
            said = "Nothing to judge: there is no event, no feedback and no feature vector in this range"
        case "pending":
            said = f"No promise was broken so far, {judged:,} inputs judged" if judged else "Nothing was judged yet"
        case "kept" if judgement.unjudged:
            said = f"Both promises were kept for the {judged:,} inputs that could be judged"
        case "kept":
            said = f"Both promises were kept for all {judged:,} inputs"
    if judgement.unread:
        counts += f"; drift's services have {judgement.unread:,} records still to read or to write"
    if judgement.to_train:
        counts += f"; retraining has {judgement.to_train:,} occasions still to answer or trainings to end"
    inputs = ", ".join(f"{count:,} {_INPUTS[role]}" for role, count in judgement.inputs.items())
    return f"{said}{_not_judged(judgement)}. {counts[0].upper()}{counts[1:]}. Inputs are {inputs}."


def _not_judged(judgement: Judgement) -> str:
    if not judgement.unjudged:
        return ""
    whys = "; ".join(f"{one.role}: {one.count:,} {one.why}" for one in judgement.unjudged)
    return f"; {sum(one.count for one in judgement.unjudged):,} records could not be judged ({whys})"


def passes(judgement: Judgement, *, waited: bool) -> bool:
    """Whether a command may end with 0: nothing broken, something judged, and after a wait nothing under way."""
    return judgement.verdict not in ({"broken", "nothing", "pending"} if waited else {"broken", "nothing"})


def as_document(judgement: Judgement) -> dict[str, Any]:
    """For `--json`."""
    return {
        "ok": judgement.ok,
        "verdict": judgement.verdict,
        "sentence": sentence(judgement),
        "answered": judgement.answered,
        "dead": judgement.dead,
        "pending": judgement.pending,
        "unread": judgement.unread,
        "to_train": judgement.to_train,
        "inputs": dict(judgement.inputs),
        "judged": judgement.judged - judgement.pending,
        "unjudged": [asdict(one) for one in judgement.unjudged],
        "warnings": list(judgement.warnings),
        "findings": [asdict(finding) | {"ok": finding.ok} for finding in judgement.findings],
    }
