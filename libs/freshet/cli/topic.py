"""`freshet topic tail`: the records of a topic, decoded."""

import json
from collections.abc import Mapping
from itertools import chain, islice
from typing import Annotated, Any, Literal

import typer

from freshet.cli.export_topic import export
from freshet.cli.output import PIPELINE, Bootstrap, Namespace, connect, reporting, shown_text
from freshet.operate.tail import Tail, resolve
from freshet.operate.times import clock_time

app = typer.Typer(help="Look at the records of a topic.", no_args_is_help=True, add_completion=False)
app.command()(export)


@app.callback()
def group() -> None:
    """Look at the records of a topic."""


@app.command()
@reporting
def tail(
    topic: Annotated[
        str, typer.Argument(help="A role of schemas/topics.yaml, such as predictions, or a topic's full name.")
    ],
    pipeline: Annotated[str, typer.Option(help="Whose topic, where every pipeline has its own."), PIPELINE] = "",
    start: Annotated[
        Literal["beginning", "end"], typer.Option("--from", help="The first records, or the last.")
    ] = "end",
    count: Annotated[
        int | None, typer.Option("-n", min=1, help="How many; 10 by default, all with --from beginning.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")] = False,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Print records as a read_committed reader sees them: place, time, key, value and headers, one line each."""
    connection = connect(bootstrap, namespace)
    role, owner = resolve(topic, pipeline, namespace)
    tail_of = Tail(connection.bus(owner), role, connection.readable(owner))
    rows = tail_of.last(count or 10) if start == "end" else islice(tail_of.rows(), count)
    for row in chain(rows, tail_of.coming() if follow else ()):
        typer.echo(shown_text(json.dumps(row, ensure_ascii=False)) if as_json else line(row))


def line(row: Mapping[str, Any]) -> str:
    """A record for a person, whatever its producer wrote into key, headers and value."""
    headers = "".join(f" {name}={value}" for name, value in row.get("headers", {}).items())
    value = "(tombstone)" if row["value"] is None else json.dumps(row["value"], ensure_ascii=False)
    place = f"{row['partition']}/{row['offset']} {clock_time(row['timestamp_ms'])}"
    return shown_text(f"{place} {row['key']}{headers} {value}")
