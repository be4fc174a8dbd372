"""`freshet topics`: topics as code, planned and applied."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Final

import typer

from freshet.cli.output import (
    Bootstrap,
    CommandError,
    Connection,
    Exit,
    Json,
    Namespace,
    connect,
    emit,
    reporting,
    say,
    table,
)
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.kafka.admin import BROKER_DEFAULT
from freshet.runtime.provision import plan, provision
from freshet.runtime.publishing import pipeline_records
from freshet.runtime.topic_plan import Step

app = typer.Typer(help="Topics as code: what schemas/topics.yaml says, on a cluster.", no_args_is_help=True)

Pipelines = Annotated[
    list[str] | None,
    typer.Option(
        "--pipeline",
        metavar="NAME[=PARTITIONS]",
        help="Only this pipeline's topics (repeatable); by default all published pipelines'. An unpublished one "
        "needs its partitions.",
    ),
]
Replication = Annotated[
    int,
    typer.Option("--replication-factor", min=BROKER_DEFAULT, help="Of new topics; -1 is the broker's own default."),
]

Adopt = Annotated[
    bool,
    typer.Option(
        "--adopt", help="Give topics that are there with other settings ours; by default they are a conflict."
    ),
]

_SHOWN: Final = {"create": "create", "alter": "has other settings", "ok": "as it should be", "refuse": "refused"}


@app.command("plan")
@reporting
def plan_command(
    pipeline: Pipelines = None, bootstrap: Bootstrap = None, namespace: Namespace = "", as_json: Json = False
) -> None:
    """Say what `topics apply` would do. Changes nothing; exits with 5 if a topic is in the way of it."""
    connection = connect(bootstrap, namespace)
    steps = plan(connection.admin, namespace, counts(connection, pipeline or []))
    _show(steps, as_json=as_json)
    if any(step.action in ("refuse", "alter") for step in steps):
        raise typer.Exit(Exit.CONFLICT)


@app.command("apply")
@reporting
def apply_command(
    pipeline: Pipelines = None,
    replication_factor: Replication = BROKER_DEFAULT,
    adopt: Adopt = False,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Create missing topics. Idempotent; never deletes, grows or shrinks a topic, and alters none without --adopt."""
    connection = connect(bootstrap, namespace)
    wanted = counts(connection, pipeline or [])
    steps = provision(connection.admin, namespace, wanted, replication_factor=replication_factor, adopt=adopt, say=say)
    _show(steps, as_json=as_json)


def counts(connection: Connection, asked: Sequence[str]) -> list[tuple[str, int]]:
    """(pipeline, partitions) of those asked for, or of all that are published."""
    given = dict(text.partition("=")[::2] for text in asked)
    if given and all(given.values()):
        return [(name, _number(name, partitions)) for name, partitions in given.items()]
    records = pipeline_records(connection.bus())
    published = {name: PipelineSpec.parse(record.spec).partitions for name, record in records.items()}
    if not asked:
        return sorted(published.items())
    if strangers := [name for name, partitions in given.items() if not partitions and name not in published]:
        raise CommandError(
            f"pipeline {strangers[0]!r} is not published here, so its partitions are unknown. Publish it with `freshet "
            f"apply -f FOLDER`, which also creates its topics, or give --pipeline {strangers[0]}=6.",
            Exit.FAILURE,
        )
    return [(name, _number(name, partitions) if partitions else published[name]) for name, partitions in given.items()]


def _number(name: str, partitions: str) -> int:
    if not partitions.isdecimal() or int(partitions) < 1:
        raise CommandError(f"--pipeline {name}={partitions}: that is not a number of partitions.", Exit.USAGE)
    return int(partitions)


def _show(steps: Sequence[Step], *, as_json: bool) -> None:
    shown = table("topic", "partitions", "what", "details")
    for step in steps:
        shown.add_row(step.topic, str(step.partitions), _SHOWN[step.action], step.details)
    emit([asdict(step) for step in steps], shown, as_json=as_json)
