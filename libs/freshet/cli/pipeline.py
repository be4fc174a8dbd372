"""`freshet pipeline`: begin, check and list pipelines."""

from pathlib import Path
from typing import Annotated, Final

import typer

from freshet.cli.output import Bootstrap, Exit, Force, Json, Namespace, connect, emit, reporting, say, table
from freshet.cli.pipeline_delete import delete
from freshet.cli.table_options import Decimal, Delimiter, Encoding, Na, TimeFormat
from freshet.client.pipeline_tests.example import write_example
from freshet.operate.connection import address
from freshet.operate.folder_check import problems_of
from freshet.operate.operate_error import OperateError
from freshet.operate.tables.features import refuse_other, write_features
from freshet.operate.tables.new_pipeline import Roles, files_of, guess_from, write
from freshet.operate.tables.scaffold import Guess, template
from freshet.operate.tables.table import Dialect, Table
from freshet.operate.tables.table_events import CsvEvents
from freshet.operate.target import target
from freshet.pipeline import PipelineSpec, load_checked
from freshet.pipeline.join_memory import join_memory_bytes, join_memory_problem
from freshet.runtime.clock import SystemClock
from freshet.runtime.publishing import newest, readable_pipeline_records

_SOME_EVENTS: Final = 10_000

app = typer.Typer(help="Pipelines: one folder per use case.", no_args_is_help=True)
app.command()(delete)


@app.command()
@reporting
def check(
    folder: Annotated[Path, typer.Argument(help="Holds pipeline.yaml and event.avsc.")],
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    events_per_s: Annotated[
        float,
        typer.Option(min=0, max=1e9, help="How many events you expect: says the memory that joining labels takes."),
    ] = 10.0,
    as_json: Json = False,
) -> None:
    """Find everything that is wrong with a pipeline's folder, as `file:line: message`; exits with 4 if something is.

    Where a Kafka is named or runs in this folder, also what `freshet apply` would refuse there. Nothing is changed.
    """
    problems = problems_of(folder, lambda: connect(bootstrap, namespace), say)
    if not problems:
        spec = PipelineSpec.parse((folder / "pipeline.yaml").read_text(encoding="utf-8"))
        why = join_memory_problem(spec, events_per_s)
        problems = [spec.problem(("label",), why)] if why else []
        say(_join_memory(spec, events_per_s))
    document = [{"file": problem.file, "line": problem.line, "message": problem.message} for problem in problems]
    shown = "\n".join(str(problem) for problem in problems) or f"{folder} is in order."
    emit(document, shown, as_json=as_json)
    if problems:
        raise typer.Exit(Exit.CHECK)


def _join_memory(spec: PipelineSpec, events_per_s: float) -> str:
    """What joining labels takes, by event: the whole of it alone would frighten whoever has few."""
    label = spec.label
    seconds = (label.horizon.ms + label.grace.ms + label.wait.ms) / 1000
    some, whole = join_memory_bytes(spec, _SOME_EVENTS / seconds) / (1 << 20), join_memory_bytes(spec, events_per_s)
    return (
        f"An estimate, and no error: the drift service `drift-join` takes some {some:,.1f} MiB, over all "
        f"its workers, for each {_SOME_EVENTS:,} predictions that a label may still come to. It may come for "
        f"{seconds / 86_400:.3g} days (label.horizon, label.grace and label.wait); so {events_per_s:g} events/s all "
        f"the time (--events-per-s) end at {whole / (1 << 20):,.0f} MiB."
    )


@app.command()
@reporting
def new(
    name: Annotated[str, typer.Argument(help="Small letters, digits and dashes.")],
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Guess the pipeline from this table.")
    ] = None,
    label: Annotated[str | None, typer.Option(metavar="COLUMN", help="What is to be predicted.")] = None,
    entity: Annotated[str | None, typer.Option(metavar="COLUMN", help="What an event is about.")] = None,
    event_id: Annotated[str | None, typer.Option(metavar="COLUMN", help="The event's unique id.")] = None,
    event_time: Annotated[str | None, typer.Option(metavar="COLUMN", help="When it happened.")] = None,
    time_format: TimeFormat = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", metavar="FOLDER", help="Where to write; by default NAME.")
    ] = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    na: Na = None,
    as_json: Json = False,
) -> None:
    """Write a first pipeline.yaml and event.avsc: a commented example, or guessed from a table. Overwrites nothing."""
    folder = directory or Path(name)
    if csv_file is None:
        made = Guess(*template(name), [])
    elif label is None:
        raise OperateError("--csv needs --label, the column that is to be predicted.", "usage")
    else:
        found = Table(csv_file, Dialect(delimiter, encoding, decimal, na=na or ()))
        for line in found.told:
            say(line)
        made = guess_from(found, name, label, Roles(entity, event_id, event_time, time_format), SystemClock().now_ms())
    written = files_of(folder)
    if there := [path for path in written if path.exists()]:
        raise OperateError(f"{there[0]} exists already. Choose another --dir, or move it away.", "conflict")
    write(folder, made)
    for line in made.told:
        say(line)
    if tests := write_example(folder, *load_checked(folder)):
        say(f"wrote {tests}, tests of your own: freshet test pipeline {folder}")
    shown = f"wrote {written[0]} and {written[1]}; next: freshet up {folder}"
    emit([str(path) for path in written], shown, as_json=as_json)


@app.command()
@reporting
def features(
    pipeline: Annotated[str, typer.Argument(metavar="FOLDER|NAME", help="Its folder, or its name if it is published.")],
    csv_file: Annotated[Path, typer.Option("--csv", metavar="FILE", help="A table of events, as `replay` takes it.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.csv", help="Where to write the features.")],
    label: Annotated[str | None, typer.Option(metavar="COLUMN", help="The truth, copied as the last column.")] = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    force: Force = False,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Compute a table's features exactly as ingestion will, for you to train a model on.

    Train on all columns in this order, or on some of them by name. A feature without a value is an empty cell. Features
    of this pipeline in FILE.csv are written anew; any other file there is kept, unless --force is given.
    """
    spec, schema = target(pipeline, lambda: connect(bootstrap, namespace))
    if not force:
        refuse_other(output, spec)
    source = CsvEvents(csv_file, spec, schema, label=label, dialect=Dialect(delimiter, encoding, decimal))
    for line in (*source.table.told, *source.absent, *source.survey.told):
        say(line)
    rows, left_out = write_features(output, spec, schema, source, label)
    document = {
        "file": str(output),
        "rows": rows,
        "left_out": left_out + source.survey.left_out,
        "unlabelled": source.survey.unlabelled,
        "features": list(spec.feature_names),
    }
    shown = f"wrote {rows:,} rows of {len(spec.feature_names)} features to {output}"
    emit(document, f"{shown}; {left_out:,} with an infinite one are left out." if left_out else shown, as_json=as_json)


@app.command("list")
@reporting
def list_command(bootstrap: Bootstrap = None, namespace: Namespace = "", as_json: Json = False) -> None:
    """List published pipelines with the number of their newest specification."""
    connection = connect(bootstrap, namespace)
    records = newest(readable_pipeline_records(connection.bus()))
    shown = table("pipeline", "number", "partitions", "features", "predicts", "event schema")
    document = []
    for name, record in sorted(records.items()):
        spec = PipelineSpec.parse(record.spec)
        row = {
            "pipeline": name,
            "number": record.number,
            "partitions": spec.partitions,
            "features": len(spec.feature_names),
            "predicts": list(spec.target.classes) or spec.target.kind,
            "event_schema_id": record.event_schema_id,
        }
        document.append(row)
        predicts = ", ".join(spec.target.classes) or "a value"
        shown.add_row(
            name,
            str(record.number),
            str(spec.partitions),
            str(len(spec.feature_names)),
            predicts,
            str(record.event_schema_id),
        )
    where = address(connection.bootstrap_servers)
    empty = f"No pipeline is published on {where}. Publish one with `freshet apply -f FOLDER`."
    emit(document, shown if records else empty, as_json=as_json)
