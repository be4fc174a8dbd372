"""`freshet rights`: what each user may do on a Kafka that asks for it."""

from typing import Annotated

import typer

from freshet.cli.output import PIPELINE, Bootstrap, Json, Namespace, connect, emit, reporting, table
from freshet.operate.operate_error import OperateError
from freshet.runtime.bus.kafka.grants import KafkaGrants
from freshet.runtime.rights import PRINCIPALS, Right, rights, user_name

app = typer.Typer(
    help="What each user may do on a Kafka that asks for it: it follows from the topics.",
    no_args_is_help=True,
    add_completion=False,
)

Pipelines = Annotated[
    list[str],
    typer.Option("--pipeline", "-p", metavar="P", help="For this pipeline; may be given several times."),
    PIPELINE,
]
Principals = Annotated[
    list[str] | None,
    typer.Option("--principal", metavar="NAME", help=f"Only of this one: {', '.join(PRINCIPALS)}. By default all."),
]
Users = Annotated[
    list[str] | None,
    typer.Option("--user", metavar="NAME=USER", help="What a principal is called there: freshet-NAME unless said."),
]


@app.command()
@reporting
def show(
    pipeline: Pipelines,
    principal: Principals = None,
    user: Users = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Print the rights, without asking any Kafka."""
    found = _rights(pipeline, principal, user, namespace)
    shown = table("user", "kind", "name", "may")
    for who, given in found.items():
        for right in given:
            shown.add_row(who, right.shown_kind, right.shown_name, ", ".join(right.operations))
    document = {who: [right._asdict() for right in given] for who, given in found.items()}
    emit(document, shown, as_json=as_json)


@app.command()
@reporting
def grant(
    pipeline: Pipelines,
    principal: Principals = None,
    user: Users = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Grant the rights; takes ALTER on the cluster. Users are not made: give them passwords or certificates as usual.

    What is granted already stays; nothing is taken away.
    """
    found = _rights(pipeline, principal, user, namespace)
    connection = connect(bootstrap, namespace)
    KafkaGrants(connection.bootstrap_servers, extra=connection.client).grant(found)
    counts = {who: len(given) for who, given in found.items()}
    said = ", ".join(f"{who} {count}" for who, count in counts.items())
    emit({"granted": counts}, f"granted on {connection.bootstrap_servers}: {said}.", as_json=as_json)


def _rights(
    pipelines: list[str], principals: list[str] | None, users: list[str] | None, namespace: str
) -> dict[str, list[Right]]:
    chosen = principals or list(PRINCIPALS)
    called = dict(_named(text) for text in users or [])
    if unknown := [name for name in (*chosen, *called) if name not in PRINCIPALS]:
        raise OperateError(f"{unknown[0]!r} is none of {', '.join(PRINCIPALS)}.", "usage")
    return {called.get(name, user_name(name)): rights(name, namespace, pipelines) for name in chosen}


def _named(text: str) -> tuple[str, str]:
    name, equals, user = text.partition("=")
    if not (equals and name and user):
        raise OperateError(f"--user {text!r} is not NAME=USER, such as ingestion=svc-ingestion.", "usage")
    return name, user
