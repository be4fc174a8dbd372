"""`freshet verify`: the promises P1 and P2, judged from the topics alone."""

import time
from functools import partial
from typing import Annotated, Final

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from freshet.cli.output import PIPELINE, Bootstrap, Exit, Json, Namespace, connect, emit, reporting, wide_console
from freshet.cli.told_waiting import told_waiting
from freshet.cli.trust_option import Trust, trusted_keys
from freshet.operate.facts import published
from freshet.operate.times import range_ms
from freshet.operate.verify.findings import Finding, Judgement
from freshet.operate.verify.judgement import as_document, passes, sentence
from freshet.operate.verify.judging import judge_pipeline

_PROMISES: Final = (
    "P1: every event ends as exactly one prediction or one dead letter. P2: it is answered by the model version that "
    "is recorded for its place. P5: scores can be computed again. drift: what is told of labels, quality and alarms "
    "follows from predictions and labels."
)

_LEGEND: Final = (
    "✓ kept, ✗ broken, – there was nothing to look at. Looked at: how many records, or other things that the check "
    "counts. Breaches: how many of those are not as they must be. Examples: the first few breaches, as "
    "partition/offset or in words; none where there is no breach."
)


@reporting
def verify(
    pipeline: Annotated[str, typer.Option(help="Whose topics are judged."), PIPELINE],
    wait: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Wait so long for inputs under way.")] = 0.0,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Judge inputs that the broker got since then: 2026-05-01T12:00Z, or 2h.")
    ] = "",
    last: Annotated[str, typer.Option(metavar="LENGTH", help="The same for a length of time until now: 1h.")] = "",
    scores: Annotated[
        int, typer.Option(min=0, metavar="N", help="Score N predictions again, from the bytes of their models.")
    ] = 0,
    trust: Trust = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Judge whether every input was answered exactly once, and by the version that its place in history demands.

    Where drift's services run, judges too whether each label met its prediction, and whether evaluations and alarms
    follow from that. Reads what the pipeline's topics retain, even while they are written. Exits with 4 if a promise
    was broken, if there was nothing to judge, or if inputs are still under way after --wait. See docs/verify.md.
    """
    from_ms = range_ms(since, last, time.time_ns() // 1_000_000)
    keys = trusted_keys(trust)
    connection = connect(bootstrap, namespace)
    published(connection, pipeline)  # a misspelt name would keep every promise
    console = wide_console(stderr=True)
    tell = partial(console.print, style="dim", markup=False, soft_wrap=True)
    judgement = judge_pipeline(
        connection,
        pipeline,
        from_ms=from_ms,
        scores=scores,
        wait_s=wait,
        keys=keys,
        during=lambda what: told_waiting(what(), console, tell),
    )
    emit(as_document(judgement), shown(judgement), as_json=as_json)
    if not passes(judgement, waited=wait > 0):
        raise typer.Exit(Exit.CHECK)


def shown(judgement: Judgement) -> Group:
    """The whole of it for a person: the checks, what somebody else should know, and the verdict last."""
    return Group(_PROMISES, _LEGEND, "", _table(judgement), "", *judgement.warnings, sentence(judgement))


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
