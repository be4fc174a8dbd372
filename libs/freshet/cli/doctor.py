"""`freshet doctor`: what is installed, set, reachable and published, and what to do about it."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Final

import typer
from rich.text import Text

from freshet.cli.output import Bootstrap, Exit, Json, Namespace, connect, emit, exit_code, reporting, table
from freshet.cli.trust_option import Trust, trusted_keys
from freshet.contracts.errors import FreshetError
from freshet.operate.checkup import cluster, installed, settings
from freshet.operate.finding import Health, Line
from freshet.operate.requirements import requirements

_STYLES: Final[dict[Health, str]] = {"ok": "green", "warn": "yellow", "bad": "bold red"}


@reporting
def doctor(
    deep: Annotated[bool, typer.Option("--deep", help="Also commit a transaction and read it back.")] = False,
    needs: Annotated[
        bool,
        typer.Option(
            "--requirements", help="Instead, try all that Freshet needs of a Kafka, on topics that are deleted again."
        ),
    ] = False,
    trust: Trust = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Look at all that Freshet needs. Exits with 4 if something is bad, 3 if no Kafka answers, 2 if no login works."""
    keys = trusted_keys(trust)
    lines = [] if needs else [*installed(), *settings()]
    code = Exit.OK
    try:
        connection = connect(bootstrap, namespace)
        lines += requirements(connection) if needs else cluster(connection, deep=deep, keys=keys)
    except FreshetError as error:
        seen, _, advice = str(error).partition(". ")
        lines.append(Line("kafka", "bad", seen, advice))
        code = exit_code(error)
    if code == Exit.OK and any(line.health == "bad" for line in lines):
        code = Exit.CHECK
    shown = table("", "about", "seen", "to do")
    for cells in _cells(lines):
        shown.add_row(*cells)
    emit([asdict(line) for line in lines], shown, as_json=as_json)
    raise typer.Exit(code)


def _cells(lines: list[Line]) -> Iterator[list[Text]]:
    for line in lines:
        yield [Text(line.health, style=_STYLES[line.health]), Text(line.about), Text(line.seen), Text(line.do)]
