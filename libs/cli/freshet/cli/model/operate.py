"""The registry's commands: each is published as a record, and gets exactly one decision."""

import getpass
import socket
import time
import uuid
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from freshet.cli.control import published
from freshet.cli.output import Bootstrap, CommandError, Connection, Exit, Json, Namespace, connect, emit, reporting, say
from freshet.cli.times import duration_ms
from freshet.contracts.control import encode
from freshet.contracts.messages import Action, Command, Decision
from freshet.local.errors import LocalError
from freshet.local.view import View
from freshet.runtime.bus import Send

Pipeline = Annotated[str, typer.Option(help="Whose models.")]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="Such as 1.4.0; `freshet model list` shows them.")]
ExpectEpoch = Annotated[
    int | None, typer.Option(metavar="NUMBER", help="Refuse if another epoch is live: somebody was quicker.")
]
Expires = Annotated[str, typer.Option(metavar="5m", help="Do not carry it out after so long.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the registry's decision.")]

_GRACE_S: Final = 10.0  # for the registry to say that a command has expired


@dataclass(frozen=True, slots=True)
class How:
    """What all commands have in common: for whom, until when, and whether to wait for the answer."""

    pipeline: str
    expires: str
    wait: bool
    as_json: bool


@reporting
def promote(
    version: Version,
    pipeline: Pipeline,
    expect_epoch: ExpectEpoch = None,
    expires: Expires = "5m",
    wait: Wait = True,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Let a version answer, once every worker has loaded it. Exits with 5 unless the registry does it."""
    how = How(pipeline, expires, wait, as_json)
    _ask(connect(bootstrap, namespace), how, "promote", version=version, expected_epoch=expect_epoch)


@reporting
def rollback(
    pipeline: Pipeline,
    to: Annotated[str, typer.Option(metavar="VERSION", help="By default the one that answered before.")] = "",
    expect_epoch: ExpectEpoch = None,
    expires: Expires = "5m",
    wait: Wait = True,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Let an earlier version answer again, at once. Exits with 5 unless the registry does it."""
    how = How(pipeline, expires, wait, as_json)
    _ask(connect(bootstrap, namespace), how, "rollback", version=to, expected_epoch=expect_epoch)


@reporting
def pause(
    pipeline: Pipeline,
    expect_epoch: ExpectEpoch = None,
    expires: Expires = "5m",
    wait: Wait = True,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Start no rollouts until resumed; what answers goes on, and a rollback is still done."""
    how = How(pipeline, expires, wait, as_json)
    _ask(connect(bootstrap, namespace), how, "pause", expected_epoch=expect_epoch)


@reporting
def resume(
    pipeline: Pipeline,
    expect_epoch: ExpectEpoch = None,
    expires: Expires = "5m",
    wait: Wait = True,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Allow rollouts again."""
    how = How(pipeline, expires, wait, as_json)
    _ask(connect(bootstrap, namespace), how, "resume", expected_epoch=expect_epoch)


@reporting
def retire(
    version: Version,
    pipeline: Pipeline,
    text: Annotated[str, typer.Option(help="Why, for the history.")] = "",
    expires: Expires = "5m",
    wait: Wait = True,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Never let a version answer again. Refused while something still needs it."""
    how = How(pipeline, expires, wait, as_json)
    _ask(connect(bootstrap, namespace), how, "retire", version=version, text=text)


@reporting
def annotate(
    version: Version,
    text: Annotated[str, typer.Argument(help="What to note.")],
    pipeline: Pipeline,
    expires: Expires = "5m",
    wait: Wait = True,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Note something in a version's history."""
    how = How(pipeline, expires, wait, as_json)
    _ask(connect(bootstrap, namespace), how, "annotate", version=version, text=text)


def _ask(
    connection: Connection,
    how: How,
    action: Action,
    *,
    version: str = "",
    text: str = "",
    expected_epoch: int | None = None,
) -> None:
    """Publish the command; unless told not to, wait for its decision, print it, and exit with what it says."""
    expires_ms = duration_ms(how.expires, "--expires")
    published(connection.bus(), how.pipeline)  # a misspelt name would be waited for until it expires
    command = Command(
        command_id=str(uuid.uuid4()),
        pipeline=how.pipeline,
        action=action,
        version=version,
        text=text,
        expected_epoch=expected_epoch,
        expires_at_ms=time.time_ns() // 1_000_000 + expires_ms,
        by=_operator(),
    )
    if not how.wait:
        publish(connection, command)
        emit({"command_id": command.command_id}, f"asked, as command {command.command_id}.", as_json=how.as_json)
        return
    decision = decided(connection, command, expires_ms / 1000 + _GRACE_S)
    document = {"command_id": command.command_id, "verdict": decision.verdict, "reason": decision.reason}
    emit({**document, "epoch": decision.epoch}, f"{decision.verdict}: {decision.reason}", as_json=how.as_json)
    raise typer.Exit(Exit.OK if decision.verdict == "done" else Exit.CONFLICT)


def publish(connection: Connection, command: Command) -> None:
    """Write the command, and wait until it is acknowledged."""
    producer = connection.bus().producer()
    try:
        producer.send(Send("commands", [command.pipeline.encode()], [encode(command)]))
    finally:
        producer.close()


def decided(connection: Connection, command: Command, timeout_s: float) -> Decision:
    """Publish the command and wait for its one decision; raises CommandError if none comes in time."""
    view = View(connection.bus(), command.pipeline)
    try:
        publish(connection, command)
        say(f"waiting for the registry's decision on command {command.command_id} …")
        return view.wait("a decision", lambda seen: seen.decision(command), timeout_s)
    except LocalError as error:
        raise CommandError(
            f"no decision on command {command.command_id} came within {timeout_s:.0f} s. Is the registry running? "
            "`freshet run registry` starts it, and it then says that the command has expired.",
            Exit.FAILURE,
        ) from error
    finally:
        view.close()


def _operator() -> str:
    """Who asks, for the audit."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container without a passwd entry
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
