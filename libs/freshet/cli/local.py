"""`freshet local`: a real single-node Kafka in this folder, for trying things out."""

from pathlib import Path
from typing import Annotated

import typer

from freshet.cli.output import Json, Secure, emit, reporting, say
from freshet.lab import broker
from freshet.lab.choose import BOOTSTRAP_SERVERS

app = typer.Typer(help="A Kafka of this folder, for trying things out.", no_args_is_help=True, add_completion=False)

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command()
@reporting
def up(secure: Secure = False, as_json: Json = False) -> None:
    """Start the broker of this folder, or find it running; its data stay from one start to the next.

    A secured one stays secured until it is wiped. Commands in this folder log in as its administrator, `freshet run`
    as the service that it runs; .local/kafka/secured has the certificate, and in logins FRESHET_KAFKA of each user.
    """
    endpoint = broker.up(Path.cwd(), say=say, secure=secure)
    if endpoint.kind == "external":
        say(f"{BOOTSTRAP_SERVERS} is set: that Kafka is used, nothing was started.")
    emit(
        {"bootstrap_servers": endpoint.bootstrap_servers, "kind": endpoint.kind},
        f"Kafka answers on {endpoint.bootstrap_servers}; commands in this folder find it by themselves.",
        as_json=as_json,
    )


@app.command()
@reporting
def down(as_json: Json = False) -> None:
    """Stop the broker of this folder; its data stay."""
    stopped = broker.down(Path.cwd())
    emit({"stopped": stopped}, "stopped." if stopped else "no broker of this folder was running.", as_json=as_json)


@app.command()
@reporting
def status(as_json: Json = False) -> None:
    """Whether the broker of this folder runs, where, and how much it holds."""
    found = broker.status(Path.cwd())
    servers = found.endpoint.bootstrap_servers if found.endpoint else None
    document = {
        "state": found.state,
        "bootstrap_servers": servers,
        "answers": found.answers,
        "data_bytes": found.data_bytes,
    }
    answers = "it answers" if found.answers else "it does not answer"
    shown = f"{found.state} on {servers}: {answers}; {found.data_bytes / 1e6:.1f} MB of data."
    emit(document, shown if servers else "this folder has no broker; `freshet local up` starts one.", as_json=as_json)


@app.command()
@reporting
def wipe(yes: Yes = False, as_json: Json = False) -> None:
    """Stop the broker of this folder and delete all that it holds."""
    found = broker.status(Path.cwd(), environ={})  # what is deleted is this folder's, whatever Kafka is set
    if found.state != "absent" and not yes:
        typer.confirm(f"Delete {found.data_bytes / 1e6:.1f} MB of topics in {Path.cwd()}?", abort=True, err=True)
    broker.wipe(Path.cwd())
    emit({"wiped": True}, "nothing is left of this folder's broker.", as_json=as_json)
