"""`freshet alarms`: what detectors say has changed."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType

from freshet.cli.output import (
    PIPELINE,
    Bootstrap,
    Exit,
    Json,
    Namespace,
    connect,
    emit,
    reporting,
    say,
    shown_text,
    table,
)
from freshet.contracts.messages import Alarm
from freshet.detectors.alarming_part import AlarmingPart
from freshet.operate import alarm_log as operate
from freshet.operate.facts import published
from freshet.operate.operate_error import OperateError
from freshet.operate.times import clock_time
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.protocol import Bus

app = typer.Typer(help="What detectors say has changed: list it, look at one, find it again.", no_args_is_help=True)

Pipeline = Annotated[str, typer.Option(help="Whose alarms."), PIPELINE]


@app.command("list")
@reporting
def list_command(
    pipeline: Pipeline, bootstrap: Bootstrap = None, namespace: Namespace = "", as_json: Json = False
) -> None:
    """All alarms, oldest first. Those of one episode have one cause, as far as detectors can tell."""
    found = operate.told(_opened(pipeline, bootstrap, namespace)[0], pipeline)
    emit([alarm.model_dump() for alarm in found], _shown(found) if found else "No alarms.", as_json=as_json)


@app.command()
@reporting
def show(
    alarm: Annotated[str, typer.Argument(metavar="ID", help="Its id, or the beginning of it.")],
    pipeline: Pipeline,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Print one alarm: what changed, by how much, since which offsets, and whose doing it is."""
    found = operate.alarm_named(operate.told(_opened(pipeline, bootstrap, namespace)[0], pipeline), alarm)
    shares = ", ".join(f"{name} {share:.0%}" for name, share in found.attribution.items())
    of_labels = found.watched == "outcomes"
    log = "outcomes" if of_labels else "profiles"
    lines = [
        found.text,
        f"{found.level} by {found.detector} at {clock_time(found.at_ms)} UTC; cause: {found.cause}",
        f"statistic {found.statistic:.4g}, threshold {found.threshold:.4g}, effect {found.effect:+.4g}",
        f"rows {found.test_from} to {found.test_to}, compared with {found.reference_from} to {found.reference_to}",
        f"since features offsets: {', '.join(f'{number}/{at}' for number, at in sorted(found.since.items())) or '-'}",
        f"{'errors by' if of_labels else 'most changed'}: {shares or '-'}",
        f"parameters: {', '.join(f'{name} {value}' for name, value in sorted(found.params.items()))}",
        f"id {found.id}, episode {found.episode}; last row in record {found.through} of the {log}",
    ]
    emit(found.model_dump(), "\n".join(map(shown_text, lines)), as_json=as_json)


@app.command()
@reporting
def replay(
    pipeline: Pipeline,
    detector: Annotated[str, typer.Option(metavar="KIND", help="The detector whose parameters change.")] = "",
    threshold: Annotated[
        str,
        typer.Option(
            metavar="NUMBER",
            help="Another value of the field that says how much it takes to find something, such as 0.002 for adwin "
            "and 0.1 for psi, their defaults; docs/detectors.md has all. What it is now is told.",
        ),
    ] = "",
    param: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Another of its fields (repeatable).")
    ] = None,
    from_row: Annotated[int, typer.Option("--from", min=0, help="Only alarms of this row of the log or later.")] = 0,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Fold the labelled log and the profiles again. With the same parameters it says whether the same alarms come, and
    exits with 4 if not; with others it says which alarms would have come.
    """
    bus, spec = _opened(pipeline, bootstrap, namespace)
    parts = (*spec.detectors, *spec.profile.detectors)
    changes = _changes(detector, threshold, param or [], parts)
    for part in parts:
        if part.kind == detector:
            say(part.sensitivity)
    say("folding the labelled log and the profiles …")
    done = operate.replay(bus, pipeline, detector, changes)
    alarms = [alarm for alarm in done.alarms if alarm.test_to > from_row]
    document: dict[str, Any] = {
        "rows": done.rows,
        "frames": done.frames,
        "first_offset": done.first_offset,
        "alarms": [one.model_dump() for one in alarms],
    }
    if changes:
        ours = [alarm for alarm in alarms if alarm.detector == detector]
        found: list[RenderableType] = [_shown(ours) if ours else f"No alarms of {detector}."]
        if others := len(alarms) - len(ours):
            found.append(f"{others} more of other detectors, with their parameters as they are: --json has them, too.")
        emit(document, Group(*found), as_json=as_json)
        return
    agreed = operate.agreement(operate.told(bus, pipeline), done.alarms)
    document["agreement"] = {
        "same": agreed.same,
        "only_told": agreed.only_told,
        "only_replayed": agreed.only_replayed,
        "newer": agreed.newer,
    }
    if not as_json and alarms:
        emit(document, _shown(alarms), as_json=False)
    emit(document, _verdict(agreed, done), as_json=as_json)
    if (agreed.only_told or agreed.only_replayed) and not done.first_offset:
        raise typer.Exit(Exit.CHECK)


def _verdict(agreed: operate.Agreement, done: operate.Replayed) -> str:
    read = f"{done.rows:,} rows and {done.frames:,} frames folded"
    lines = [f"{read}. {len(agreed.same)} alarms came again, with the same ids."]
    if agreed.only_told:
        lines.append(f"{len(agreed.only_told)} were told and do not come again: {', '.join(agreed.only_told)}")
    if agreed.only_replayed:
        lines.append(f"{len(agreed.only_replayed)} come now and were not told: {', '.join(agreed.only_replayed)}")
    if agreed.newer:
        lines.append(f"{len(agreed.newer)} lie behind the last one told: detection may not have read so far.")
    if done.first_offset:
        lines.append(
            f"A log begins at record {done.first_offset}: what came before has expired. So rows are counted from "
            "there, and ids differ."
        )
    return "\n".join(lines)


def _changes(detector: str, threshold: str, params: Sequence[str], parts: Sequence[AlarmingPart]) -> dict[str, str]:
    changes = {"threshold": threshold} if threshold else {}
    for text in params:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise OperateError(f"--param takes NAME=VALUE, not {text!r}.", "usage")
        changes[name] = value
    if bool(changes) != bool(detector):
        asked = [part for part in parts if part.kind == detector] or parts
        known = "".join(f"\n{part.sensitivity}" for part in asked)
        raise OperateError(
            f"name with --detector whose --threshold or --param changes, and say to what.{known}", "usage"
        )
    return changes


def _shown(alarms: Sequence[Alarm]) -> RenderableType:
    shown = table("id", "when", "level", "detector", "cause", "rows", "episode", "what")
    for alarm in alarms:
        rows = f"{alarm.test_from}–{alarm.test_to}"
        shown.add_row(
            alarm.id[:8],
            clock_time(alarm.at_ms),
            alarm.level,
            alarm.detector,
            alarm.cause,
            rows,
            alarm.episode[:8],
            alarm.text,
        )
    return shown


def _opened(pipeline: str, bootstrap: str | None, namespace: str) -> tuple[Bus, PipelineSpec]:
    connection = connect(bootstrap, namespace)
    found = published(connection, pipeline)  # a misspelt name would have no alarms
    return connection.bus(pipeline), found.spec
