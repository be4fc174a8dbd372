"""A judgement as people and programs read it."""

from dataclasses import asdict
from typing import Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from freshet.cli.verify.findings import Finding, Judgement

_PROMISES: Final = (
    "P1: every event ends as exactly one prediction or one dead letter. P2: it is answered by the model version that "
    "is recorded for its place. P5: scores can be computed again."
)
_INPUTS: Final = {"events": "events", "feedback": "labels sent as feedback", "features": "feature vectors"}


def shown(judgement: Judgement) -> Group:
    """The whole of it for a person: the checks, what somebody else should know, and the verdict last."""
    return Group(_PROMISES, "", _table(judgement), "", *judgement.warnings, sentence(judgement))


def _table(judgement: Judgement) -> Table:
    """One row a check."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    for title in ("", "", "check"):
        table.add_column(title, no_wrap=True)
    for title in ("looked at", "breaches"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("examples")
    for finding in judgement.findings:
        table.add_row(
            _mark(finding),
            finding.promise,
            finding.check,
            f"{finding.looked_at:,}",
            f"{finding.breaches:,}",
            Text(", ".join(finding.examples)),
        )
    return table


def _mark(finding: Finding) -> Text:
    """A check that looked at nothing is not green."""
    if not finding.ok:
        return Text("  ✗", style="red")
    return Text("  ✓", style="green") if finding.looked_at else Text("  –", style="dim")


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
        "inputs": dict(judgement.inputs),
        "judged": judgement.judged - judgement.pending,
        "unjudged": [asdict(one) for one in judgement.unjudged],
        "warnings": list(judgement.warnings),
        "findings": [asdict(finding) | {"ok": finding.ok} for finding in judgement.findings],
    }
