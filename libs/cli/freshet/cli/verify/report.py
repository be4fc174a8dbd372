"""A judgement as people and programs read it."""

from dataclasses import asdict
from typing import Any

from rich.table import Table

from freshet.cli.verify.judge import Judgement


def as_table(judgement: Judgement) -> Table:
    """One row a check."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2))
    for column, right in (("", False), ("check", False), ("looked at", True), ("breaches", True), ("examples", False)):
        table.add_column(column, justify="right" if right else "left")
    for finding in judgement.findings:
        mark = "[green]✓[/green]" if finding.ok else "[red]✗[/red]"
        examples = ", ".join(finding.examples)
        table.add_row(
            f"  {mark} {finding.promise}", finding.check, f"{finding.looked_at:,}", f"{finding.breaches:,}", examples
        )
    return table


def sentence(judgement: Judgement) -> str:
    """The verdict in plain words."""
    breaches = sum(finding.breaches for finding in judgement.findings)
    counts = (
        f"{judgement.answered:,} predictions and {judgement.dead:,} dead letters were read; "
        f"{judgement.pending:,} inputs are still on their way"
    )
    if judgement.ok:
        return f"Both promises were kept: {counts}."
    return f"{breaches:,} breaches: {counts}. Each example is partition/offset; look with `freshet topic tail`."


def as_document(judgement: Judgement) -> dict[str, Any]:
    """For `--json`."""
    return {
        "ok": judgement.ok,
        "answered": judgement.answered,
        "dead": judgement.dead,
        "pending": judgement.pending,
        "findings": [asdict(finding) | {"ok": finding.ok} for finding in judgement.findings],
    }
