"""A judgement as people and programs read it."""

from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from freshet.cli.verify.judge import Judgement


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
