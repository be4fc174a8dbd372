"""The registry's commands: each is published as a record, and gets exactly one decision.

A function says what is asked for; `_asks` makes the command of it, with the options that all of them have.
"""

import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Any, Final

import typer

from freshet.cli.control import published
from freshet.cli.output import Bootstrap, CommandError, Connection, Exit, Json, Namespace, connect, emit, reporting, say
from freshet.cli.patience import patiently
from freshet.cli.times import duration_ms
from freshet.contracts.messages import Action, Command, Decision
from freshet.operate import commands
from freshet.operate.errors import LocalError
from freshet.operate.view import View
from freshet.runtime.bus.protocol import Producer

Pipeline = Annotated[str, typer.Option(help="Whose models.")]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="Such as 1.4.0; `freshet model list` shows them.")]
ExpectEpoch = Annotated[
    int | None, typer.Option(metavar="NUMBER", help="Refuse if another epoch is live: somebody was quicker.")
]
Expires = Annotated[str, typer.Option(metavar="5m", help="Do not carry it out after so long.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the registry's decision.")]

_GRACE_S: Final = 10.0  # for the registry to say that a command has expired
_LAST_WORD_S: Final = 2.0  # a registry that is there decides within a turn


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for; fields as in `Command`."""

    action: Action
    version: str = ""
    text: str = ""
    expected_epoch: int | None = None


def _asks(request: Callable[..., Request]) -> Callable[..., None]:
    """A command that takes the function's parameters, and those of `run`."""

    @reporting
    def run(
        *,
        pipeline: Pipeline,
        expires: Expires = "5m",
        wait: Wait = True,
        bootstrap: Bootstrap = None,
        namespace: Namespace = "",
        as_json: Json = False,
        **own: Any,
    ) -> None:
        connection, expires_ms = connect(bootstrap, namespace), duration_ms(expires, "--expires")
        published(connection.bus(), pipeline)  # a misspelt name would be waited for until it expires
        asked = commands.command(pipeline, expires_ms=expires_ms, **asdict(request(**own)))
        if wait:
            _show(asked, _decided(connection, asked, expires_ms / 1000 + _GRACE_S), as_json=as_json)
        else:
            _publish(connection, asked)
            emit({"command_id": asked.command_id}, f"asked, as command {asked.command_id}.", as_json=as_json)

    shared = [at for at in inspect.signature(run).parameters.values() if at.kind is inspect.Parameter.KEYWORD_ONLY]
    parameters = [*inspect.signature(request).parameters.values(), *shared]
    # typer reads these, and not the function itself
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__doc__ = request.__doc__
    return run


@_asks
def promote(version: Version, expect_epoch: ExpectEpoch = None) -> Request:
    """Let a version answer, once every worker has loaded it. Exits with 5 unless the registry does it."""
    return Request("promote", version, expected_epoch=expect_epoch)


@_asks
def rollback(
    to: Annotated[str, typer.Option(metavar="VERSION", help="By default the one that answered before.")] = "",
    expect_epoch: ExpectEpoch = None,
) -> Request:
    """Let an earlier version answer again: at once if workers hold it, else once they have loaded it.

    Exits with 5 unless the registry does it.
    """
    return Request("rollback", to, expected_epoch=expect_epoch)


@_asks
def pause(expect_epoch: ExpectEpoch = None) -> Request:
    """Start no rollouts until resumed; what answers goes on, and a rollback is still done."""
    return Request("pause", expected_epoch=expect_epoch)


@_asks
def resume(expect_epoch: ExpectEpoch = None) -> Request:
    """Allow rollouts again."""
    return Request("resume", expected_epoch=expect_epoch)


@_asks
def retire(version: Version, text: Annotated[str, typer.Option(help="Why, for the history.")] = "") -> Request:
    """Never let a version answer again. Refused while something still needs it."""
    return Request("retire", version, text)


@_asks
def reinstate(version: Version, text: Annotated[str, typer.Option(help="Why, for the history.")] = "") -> Request:
    """Take a version back from quarantine: it is admitted again, and answers once it is promoted."""
    return Request("reinstate", version, text)


@_asks
def annotate(version: Version, text: Annotated[str, typer.Argument(help="What to note.")]) -> Request:
    """Note something in a version's history."""
    return Request("annotate", version, text)


def _publish(connection: Connection, asked: Command) -> None:
    producer = connection.bus().producer()
    try:
        commands.publish(producer, asked)
    finally:
        producer.close()


def _decided(connection: Connection, asked: Command, timeout_s: float) -> Decision:
    """Publish the command and wait for its one decision; raises CommandError if none comes in time."""
    view, producer = View(connection.bus(), asked.pipeline), connection.bus().producer()
    try:
        commands.publish(producer, asked)
        say(f"waiting for the registry's decision on command {asked.command_id} …")
        return patiently(
            view,
            connection.bus(),
            f"the decision on {asked.action}",
            partial(commands.decision_on, asked),
            timeout_s,
            hint=f"The command stays valid for {timeout_s - _GRACE_S:,.0f} s; Ctrl-C withdraws it.",
        )
    except KeyboardInterrupt:
        _withdraw(view, producer, asked)
        raise typer.Exit(Exit.INTERRUPTED) from None
    except LocalError as error:
        raise CommandError(
            f"no decision on command {asked.command_id} came within {timeout_s:.0f} s, and it has expired: it will not "
            "be carried out. Is the registry running? `freshet run registry` starts it.",
            Exit.FAILURE,
        ) from error
    finally:
        producer.close()
        view.close()


def _withdraw(view: View, producer: Producer, asked: Command) -> None:
    """Take the command back, and say what became of it: a registry that is there may have been quicker."""
    commands.withdraw(producer, asked)
    say(f"withdrawing command {asked.command_id} …")
    try:
        decision = view.wait("the last word", partial(commands.decision_on, asked), _LAST_WORD_S)
    except LocalError:
        say("withdrawn: whenever a registry reads it, it will not be carried out.")
        return
    if decision.verdict == "done":
        say(f"too late, it was carried out: {decision.reason}")
    else:
        say(f"withdrawn: {decision.reason}")


def _show(asked: Command, decision: Decision, *, as_json: bool) -> None:
    """Print the decision, and exit with what it says."""
    document = {"command_id": asked.command_id, "verdict": decision.verdict, "reason": decision.reason}
    emit({**document, "epoch": decision.epoch}, f"{decision.verdict}: {decision.reason}", as_json=as_json)
    raise typer.Exit(Exit.OK if decision.verdict == "done" else Exit.CONFLICT)
