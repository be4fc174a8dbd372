"""`freshet model history`: which version answered when, and who approved it."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Group, RenderableType

from freshet.cli.model.view import note_lines
from freshet.cli.output import PIPELINE, Bootstrap, Json, Namespace, connect, emit, reporting, table
from freshet.operate.facts import ledger_of, published
from freshet.operate.model_history import ROLES, Approval, ModelHistory, model_history
from freshet.operate.notes import notes_on
from freshet.operate.times import clock_time, moment_ms
from freshet.runtime.clock import SystemClock


@reporting
def history(
    pipeline: Annotated[str, typer.Option(help="Whose models."), PIPELINE],
    at: Annotated[
        str, typer.Option(metavar="TIME", help="Only what answered then: 2026-05-01T12:00Z, or 2h for two hours ago.")
    ] = "",
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Print which version answered each partition from which offset and time on, and who approved it.

    Under an epoch, events that its version cannot read are answered by its understudy. Times are UTC, by the clocks of
    workers and registry.
    """
    at_ms = moment_ms(at, SystemClock().now_ms(), "--at")
    connection = connect(bootstrap, namespace)
    published(connection, pipeline)  # a misspelt name would have no history
    ledger = ledger_of(connection.bus(), *ROLES, "models").of(pipeline)
    found = model_history(ledger)
    found = found.at(at_ms) if at_ms else found
    named = sorted({version for epoch in found.epochs for version in epoch.versions})
    records = ledger.versions.records
    notes = {version: told for version in named if version in records and (told := notes_on(records[version]))}
    document = {
        "pipeline": pipeline,
        "at_ms": at_ms or None,
        "epochs": [asdict(epoch) for epoch in found.epochs],
        "answers": [asdict(stretch) for stretch in found.answers],
        "notes": {version: [asdict(note) for note in told] for version, told in notes.items()},
    }
    noted = table("noted on", "", "")
    for version, told in notes.items():
        for name, text in note_lines(told).items():
            noted.add_row(version, name, text)
    shown = (_shown(found, at_ms), *(("", noted) if notes else ()))
    emit(document, Group(*shown), as_json=as_json)


def _shown(found: ModelHistory, at_ms: int) -> RenderableType:
    when = f"At {clock_time(at_ms)} UTC" if at_ms else "So far"
    if not found.answers and not found.epochs:
        return f"{when} no version answered anything."
    epochs = table("epoch", "version", "understudy", "live since", "approved by")
    for epoch in found.epochs:
        approved = approval_words(epoch.approval)
        epochs.add_row(
            str(epoch.epoch), ", ".join(epoch.versions), epoch.understudy, clock_time(epoch.live_ms), approved
        )
    answers = table("partition", "from offset", "to offset", "since", "until", "version", "epoch")
    for one in found.answers:
        last = "" if one.end_offset is None else f"{one.end_offset - 1:,}"
        until = "" if one.until_ms is None else clock_time(one.until_ms)
        under = f"{one.epoch}, its understudy" if one.fallback else str(one.epoch)
        cells = (str(one.partition), f"{one.first_offset:,}", last, clock_time(one.since_ms), until)
        answers.add_row(*cells, ", ".join(one.versions), under)
    return Group(epochs, "", answers if found.answers else f"{when} no partition was cut over to any of these.")


def approval_words(approval: Approval) -> str:
    """Who let an epoch go live, as a phrase."""
    if approval.kind == "policy":
        return f"rollout policy {approval.what}"
    if approval.kind == "registry":
        return f"the registry: {approval.what}"
    at = "" if approval.at_ms is None else f" at {clock_time(approval.at_ms)}"
    note = f" ({approval.text})" if approval.text else ""
    return f"{approval.by or 'somebody'}, by {approval.what}{at}, command {approval.command_id}{note}"
