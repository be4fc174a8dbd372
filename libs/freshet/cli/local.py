"""`freshet local`: a real Kafka in this folder, of one broker or of three, for trying things out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from freshet.cli.output import Json, Secure, emit, reporting, say
from freshet.lab import broker
from freshet.lab.choose import BOOTSTRAP_SERVERS
from freshet.operate.broker_record import Node

app = typer.Typer(help="A Kafka of this folder, for trying things out.", no_args_is_help=True, add_completion=False)

Brokers = Annotated[
    int | None,
    typer.Option(help="1, or 3 that keep each record three times and lose none with one of them. By default 1."),
]
Number = Annotated[int | None, typer.Option("--broker", min=1, help="Only this one of three: 1, 2 or 3.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command()
@reporting
def up(secure: Secure = False, brokers: Brokers = None, as_json: Json = False) -> None:
    """Start the Kafka of this folder, or find it running; its data stay from one start to the next.

    Of three brokers it starts those that do not run. How many there are is chosen at the first start, and so is whether
    they are secured: it stays until all is wiped. On a secured Kafka commands in this folder log in as its
    administrator, `freshet run` as the service that it runs; .local/kafka/secured has the certificate, and in logins
    FRESHET_KAFKA of each user.
    """
    endpoint = broker.up(Path.cwd(), say=say, secure=secure, brokers=brokers)
    if endpoint.kind == "external":
        say(f"{BOOTSTRAP_SERVERS} is set: that Kafka is used, nothing was started.")
    emit(
        {"bootstrap_servers": endpoint.bootstrap_servers, "kind": endpoint.kind},
        f"Kafka answers on {endpoint.bootstrap_servers}; commands in this folder find it by themselves.",
        as_json=as_json,
    )


@app.command()
@reporting
def down(number: Number = None, as_json: Json = False) -> None:
    """Stop the Kafka of this folder, or one of its brokers; the data stay."""
    stopped = broker.down(Path.cwd(), broker=number)
    emit({"stopped": stopped}, "stopped." if stopped else "no broker of this folder was running.", as_json=as_json)


@app.command()
@reporting
def status(as_json: Json = False) -> None:
    """Whether the Kafka of this folder runs, where, and how much it holds; of three brokers, which of them run."""
    found = broker.status(Path.cwd())
    servers, nodes = (found.endpoint.bootstrap_servers, found.endpoint.nodes) if found.endpoint else (None, ())
    document = {
        "state": found.state,
        "bootstrap_servers": servers,
        "answers": found.answers,
        "data_bytes": found.data_bytes,
        "brokers": [{"address": node.address, "state": node.state} for node in nodes],
    }
    answers = "it answers" if found.answers else "it does not answer"
    shown = f"{found.state} on {servers}: {answers}; {found.data_bytes / 1e6:.1f} MB of data.{_each(nodes)}"
    emit(document, shown if servers else "this folder has no broker; `freshet local up` starts one.", as_json=as_json)


def _each(nodes: Sequence[Node]) -> str:
    """Of several brokers, each by its number, and what to do if one is missing."""
    if len(nodes) < 2:
        return ""
    lines = [f"\n  broker {number} on {node.address}: {node.state}" for number, node in enumerate(nodes, start=1)]
    missing = {node.state for node in nodes} != {"running"}
    return "".join(lines) + ("\n`freshet local up` starts those that do not run." if missing else "")


@app.command()
@reporting
def wipe(yes: Yes = False, as_json: Json = False) -> None:
    """Stop the broker of this folder and delete all that it holds."""
    found = broker.status(Path.cwd(), environ={})  # what is deleted is this folder's, whatever Kafka is set
    if found.state != "absent" and not yes:
        typer.confirm(f"Delete {found.data_bytes / 1e6:.1f} MB of topics in {Path.cwd()}?", abort=True, err=True)
    broker.wipe(Path.cwd())
    emit({"wiped": True}, "nothing is left of this folder's broker.", as_json=as_json)
