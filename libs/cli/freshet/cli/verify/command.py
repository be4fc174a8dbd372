"""`freshet verify`: the promises P1 and P2, judged from the topics alone."""

import time
from collections.abc import Mapping
from typing import Annotated, Final

import typer
from rich.console import Group

from freshet.cli.control import published
from freshet.cli.output import Bootstrap, Connection, Exit, Json, Namespace, connect, emit, reporting, say
from freshet.cli.verify.collect import collect
from freshet.cli.verify.judge import Judgement, judge
from freshet.cli.verify.report import as_document, as_table, sentence
from freshet.runtime.bus import Committed

_PAUSE_S: Final = 1.0


@reporting
def verify(
    pipeline: Annotated[str, typer.Option(help="Whose topics are judged.")],
    wait: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Wait so long for inputs under way.")] = 0.0,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Judge whether every input was answered exactly once, and by the version that its place in history demands.

    Reads all that the pipeline's topics retain, even while they are written. Exits with 4 if a promise was broken.
    Inputs that nobody has committed past yet are pending, which breaks nothing.
    """
    connection = connect(bootstrap, namespace)
    published(connection.bus(), pipeline)  # a misspelt name would keep every promise
    judgement = _judged(connection, pipeline, wait)
    emit(as_document(judgement), Group(as_table(judgement), "", sentence(judgement)), as_json=as_json)
    if not judgement.ok:
        raise typer.Exit(Exit.CHECK)


def _judged(connection: Connection, pipeline: str, wait_s: float) -> Judgement:
    """The judgement once nothing is pending, or when the time is over."""
    bus, names, deadline = connection.bus(pipeline), connection.names(pipeline), time.monotonic() + wait_s

    def committed(service: str, role: str) -> Mapping[int, Committed]:
        return connection.admin.committed(names.group(service), names.topic(role))

    while True:
        judgement = judge(collect(bus, pipeline, committed))
        if not judgement.pending or time.monotonic() >= deadline:
            return judgement
        say(f"{judgement.pending:,} inputs are under way …")
        time.sleep(_PAUSE_S)
