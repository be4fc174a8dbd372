"""`freshet topics`: topics as code, planned and applied."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Final

import typer

from freshet.cli.output import Bootstrap, Checked, Exit, Json, Namespace, connect, emit, reporting, say, table
from freshet.contracts.name_rules import pipeline_name
from freshet.operate.partition_counts import counts
from freshet.runtime.bus.kafka.admin import BROKER_DEFAULT
from freshet.runtime.provision import plan, provision
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
    Checked(lambda text: pipeline_name(text.partition("=")[0])),
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

_SHOWN: Final = {
    "create": "create",
    "alter": "has other settings",
    "lacks": "lacks settings that are only wished",
    "ok": "as it should be",
    "refuse": "refused",
}


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


def _show(steps: Sequence[Step], *, as_json: bool) -> None:
    shown = table("topic", "partitions", "what", "details")
    for step in steps:
        shown.add_row(step.topic, str(step.partitions), _SHOWN[step.action], step.details)
    emit([asdict(step) for step in steps], shown, as_json=as_json)
