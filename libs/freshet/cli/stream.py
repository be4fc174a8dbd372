"""`freshet stream`: a table of the user's served end to end, told on a screen."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from freshet.cli.output import Exit, Json, emit, reporting
from freshet.cli.screen_narrator import ScreenNarrator
from freshet.cli.table_options import Decimal, Delimiter, Encoding, Na, TimeFormat
from freshet.lab.demo.streaming import Streaming, tell_stream
from freshet.lab.ended_run import stops_its_broker
from freshet.operate.operate_error import OperateError
from freshet.operate.tables.new_pipeline import Roles
from freshet.operate.tables.table import Dialect


@reporting
def stream(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv[.gz]", help="Its first line names the columns.")],
    label: Annotated[str, typer.Option(metavar="COLUMN", help="What is to be predicted.")],
    entity: Annotated[str | None, typer.Option(metavar="COLUMN", help="What an event is about.")] = None,
    event_id: Annotated[str | None, typer.Option(metavar="COLUMN", help="The event's unique id.")] = None,
    event_time: Annotated[str | None, typer.Option(metavar="COLUMN", help="When it happened.")] = None,
    time_format: TimeFormat = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The pipeline's name; by default the file's.")
    ] = None,
    rate: Annotated[float, typer.Option(min=1, help="Events per second.")] = 2000.0,
    labels_after: Annotated[int, typer.Option(min=0, help="Send a label after so many more events.")] = 500,
    retrain: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Train a model every N labels (0: never), step by step, repeatably."),
    ] = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    na: Na = None,
    stay: Annotated[bool, typer.Option("--stay", help="Keep everything running until Ctrl-C, and its topics.")] = False,
    faults: Annotated[bool, typer.Option("--faults", help="SIGKILL each service once, and the broker.")] = False,
    as_json: Json = False,
) -> None:
    """Infer a pipeline from a table, train on its first tenth, serve the rest, swap the model half-way, and verify.

    The second model, trained on what came until then, answers the second half: the stream is held until it is live.
    With --retrain one model, trained on the first tenth, begins, and retraining does the rest; labels are sent after
    their answers, each step waits for the one before, and two runs end with the same digests (--rate is not used).
    Without it, but with triggers under `retraining` in the pipeline's folder, trainings come as these say, and
    arrival decides on which rows.
    At the end, evaluations are compared with quality counted again from the table, and alarms with a replay.
    The pipeline's folder is written to .local/pipelines/NAME, for you to edit; the next run uses it as it is,
    and is refused if it has another label or other columns.
    Each run has topics of its own, which go at its end if all promises were kept and both models answered; else it
    exits with 4. With --json the story goes to stderr, and what verify, quality, alarms and score found to
    stdout.
    """
    if faults and retrain is not None:
        raise OperateError("--faults and --retrain exclude each other: a killed run is not repeatable.", "usage")
    dialect = Dialect(delimiter, encoding, decimal, na=na or ())
    told = Streaming(
        file,
        label,
        Roles(entity, event_id, event_time, time_format),
        rate,
        labels_after,
        faults=faults,
        name=name,
        retrain=retrain,
        dialect=dialect,
    )
    on_result = partial(emit, shown="", as_json=True) if as_json else None
    narrator, home = ScreenNarrator(stderr=as_json), Path.cwd()
    with stops_its_broker(home, say=narrator.text):
        good = tell_stream(narrator, home, told, stay=stay, on_result=on_result)
    if not good:
        raise typer.Exit(Exit.CHECK)
