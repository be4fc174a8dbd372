"""`freshet trainings`: every training and every reason why there was none."""

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Group, RenderableType

from freshet.cli.model.ask import Asking, Expires, Tag, Text, Wait
from freshet.cli.model.view import note_lines
from freshet.cli.output import PIPELINE, Bootstrap, Json, Namespace, connect, emit, reporting, say, table, write_file
from freshet.operate.facts import published
from freshet.operate.notes import NOTE, note_text, tags_of
from freshet.operate.times import clock_time
from freshet.operate.training_comparison import compare, figure, figure_names, table_rows
from freshet.operate.training_runs import Run, find, trainings

app = typer.Typer(help="Trainings: what led to each, what it learned from, what came of it.", no_args_is_help=True)

Pipeline = Annotated[str, typer.Option(help="Whose trainings."), PIPELINE]
Which = Annotated[str, typer.Argument(metavar="TRAINING", help="An id, or its beginning, or the version it led to.")]


@app.command("list")
@reporting
def list_command(
    pipeline: Pipeline,
    last: Annotated[int, typer.Option("-n", "--last", min=1, metavar="N", help="Only the newest so many.")] = 20,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """List trainings, the newest last, and the occasions that led to none, with the reason."""
    runs = _runs(bootstrap, namespace, pipeline)[-last:]
    shown = table("training", "began", "trigger", "rows", "accuracy or error", "champion's", "gate", "what came of it")
    for run in runs:
        record = run.last
        rows = f"{record.from_row:,}–{record.cut_row:,}" if record.end_row else ""
        cells = (record.training[:8], clock_time(run.began_ms), record.trigger, rows)
        gate = record.gate if record.phase == "finished" else ""
        shown.add_row(*cells, _main_figure(run, "candidate"), _main_figure(run, "champion"), gate, run.outcome)
    emit([_document(run) for run in runs], shown if runs else "Nothing has led to a training so far.", as_json=as_json)


@app.command("show")
@reporting
def show(
    training: Which, pipeline: Pipeline, bootstrap: Bootstrap = None, namespace: Namespace = "", as_json: Json = False
) -> None:
    """Print everything about one training: its cause, its rows, its figures beside the champion's, its gate."""
    run = find(_runs(bootstrap, namespace, pipeline), training)
    emit(_document(run), _shown(run), as_json=as_json)


@app.command("compare")
@reporting
def compare_command(
    training: Which,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The one to compare it with.")],
    pipeline: Pipeline,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Print in what two trainings differ, and their figures side by side; each has a holdout of its own."""
    runs = _runs(bootstrap, namespace, pipeline)
    one, two = find(runs, training), find(runs, other)
    found = compare(one, two)
    shown = table("", one.last.training[:8], two.last.training[:8], "intervals of 95 %")
    for line in found:
        shown.add_row(line.what, line.one, line.other, line.intervals)
    document = {
        "trainings": [one.last.training, two.last.training],
        "differences": [
            {"what": line.what, "values": [line.one, line.other], "intervals": line.intervals} for line in found
        ],
    }
    emit(document, shown if found else "They do not differ.", as_json=as_json)


@app.command("export")
@reporting
def export(
    pipeline: Pipeline,
    form: Annotated[Literal["csv", "jsonl"], typer.Option("--format", help="CSV, or a JSON document a line.")] = "csv",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="A file; by default standard output.")] = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
) -> None:
    """Write all trainings for other programs, a row each: parameters, rows, digests, metrics with intervals, outcome.

    In CSV a column is left empty where a training has no such figure.
    """
    runs = _runs(bootstrap, namespace, pipeline)
    text = _csv(table_rows(runs)) if form == "csv" else "".join(json.dumps(_document(run)) + "\n" for run in runs)
    if output is None:
        typer.echo(text, nl=False)
        return
    write_file(output, text)
    say(f"{len(runs):,} trainings are in {output}.")


def _csv(rows: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, [*dict.fromkeys(name for row in rows for name in row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


@app.command("note")
@reporting
def note(
    training: Which,
    pipeline: Pipeline,
    text: Text = "",
    tag: Tag = None,
    expires: Expires = "5m",
    wait: Wait = True,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Note something on a training, or tag it, whatever came of it. `--tag KEY=` takes a tag away."""
    words = note_text(text, tag or ())
    run = find(_runs(bootstrap, namespace, pipeline), training)
    Asking(pipeline, expires, wait, bootstrap, namespace, as_json).ask(NOTE, run.last.training, words)


def _runs(bootstrap: str | None, namespace: str, pipeline: str) -> list[Run]:
    connection = connect(bootstrap, namespace)
    published(connection, pipeline)  # a misspelt name would have no trainings
    return trainings(connection.bus(), pipeline)


def _document(run: Run) -> dict[str, Any]:
    model = {"version": run.version, "state": run.model.state, "reason": run.model.reason} if run.model else None
    told = {"began_ms": run.began_ms, "model": model, "tags": tags_of(run.notes)}
    return {**run.last.model_dump(mode="json"), **told, "notes": [asdict(note) for note in run.notes]}


def _main_figure(run: Run, whose: str) -> str:
    metrics = run.last.metrics
    found = (metrics.get(f"{whose}.{name}") for name in ("accuracy", "mae"))
    return next((f"{value:.4g}" for value in found if value is not None), "")


def _shown(run: Run) -> RenderableType:
    record = run.last
    facts = table("", "")
    lines = {
        "training": record.training,
        "what came of it": run.outcome,
        "trigger": f"{record.trigger} {record.trigger_id}" + (f", by {record.by}" if record.by else ""),
        "began": clock_time(run.began_ms),
        "specification": str(record.specification),
        "trainer": record.trainer,
        "parameters": ", ".join(f"{name} {value}" for name, value in sorted(record.params.items())),
        "seed": str(record.seed),
    }
    if record.end_row:
        lines |= {
            "learned from": f"rows {record.from_row:,} to {record.cut_row:,}: {record.rows:,} predictions",
            "tried on": f"rows to {record.end_row:,}: {record.holdout_rows:,} predictions",
            "compared with": record.champion or "nothing: no version answered",
        }
    if record.phase == "finished":
        lines |= {
            "classes": ", ".join(f"{name} {count:,}" for name, count in sorted(record.classes.items())),
            "newest label": clock_time(record.trained_through_ms),
            "data": record.data_digest,
            "model": record.digest,
            "code": record.code,
            "environment": record.environment,
            "CPU": f"{record.cpu_ms / 1000:.2f} s",
            "gate": record.gate,
        }
    lines |= note_lines(run.notes)
    for name, value in lines.items():
        facts.add_row(name, value)
    if not record.metrics:
        return facts
    figures = table("figure", "candidate", "champion")
    names = dict.fromkeys(name.partition(".")[2] for name in figure_names(record.metrics))
    for name in sorted(names):
        figures.add_row(name, *(figure(record.metrics, f"{whose}.{name}") for whose in ("candidate", "champion")))
    return Group(facts, "", figures, *(f"  {clause}" for clause in record.clauses))
