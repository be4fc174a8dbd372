"""A judgement as people and programs read it."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from freshet.cli.verify.findings import Judgement


def as_table(judgement: Judgement) -> Table:
    """One row a check."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    for title in ("", "", "check"):
        table.add_column(title, no_wrap=True)
    for title in ("looked at", "breaches"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("examples")
    for finding in judgement.findings:
        table.add_row(
            Text("  ✓", style="green") if finding.ok else Text("  ✗", style="red"),
            finding.promise,
            finding.check,
            f"{finding.looked_at:,}",
            f"{finding.breaches:,}",
            Text(", ".join(finding.examples)),
        )
    return table


def remarks(judgement: Judgement) -> Iterator[str]:
    """What could not be judged and why, then what somebody else should know; one sentence each."""
    for one in judgement.unjudged:
        yield f"{one.role}: {one.count:,} {one.why}: not judged."
    yield from judgement.warnings


def sentence(judgement: Judgement) -> str:
    """The verdict in plain words."""
    counts = (
        f"{judgement.answered:,} predictions and {judgement.dead:,} dead letters were read; "
        f"{judgement.pending:,} inputs are still on their way"
    )
    unjudged = sum(one.count for one in judgement.unjudged)
    if unjudged:
        counts += f"; {unjudged:,} records could not be judged"
    if judgement.verdict == "broken":
        breaches = sum(finding.breaches for finding in judgement.findings)
        return f"{breaches:,} breaches: {counts}. Each example is partition/offset; look with `freshet topic tail`."
    if judgement.verdict == "nothing":
        return f"Nothing to judge: there is no event, no feedback and no feature vector in this range ({counts})."
    if judgement.verdict == "pending":
        return f"No promise was broken so far: {counts}."
    return f"Both promises were kept: {counts}."


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
        "unjudged": [asdict(one) for one in judgement.unjudged],
        "warnings": list(judgement.warnings),
        "findings": [asdict(finding) | {"ok": finding.ok} for finding in judgement.findings],
    }
