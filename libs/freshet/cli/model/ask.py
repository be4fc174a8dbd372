"""What an operator asks of the registry: promote, roll back, pause, resume, retire, reinstate, note.

Each command publishes one record, and gets exactly one decision.
"""

from dataclasses import dataclass
from typing import Annotated

import typer

from freshet.cli.output import PIPELINE, VERSION, Bootstrap, Checked, Exit, Json, Namespace, connect, emit, reporting
from freshet.contracts.messages import Action
from freshet.contracts.name_rules import noted
from freshet.operate import commands
from freshet.operate.facts import published
from freshet.operate.notes import NOTE, note_text
from freshet.operate.times import duration_ms

Pipeline = Annotated[str, typer.Option(help="Whose models."), PIPELINE]
Version = Annotated[
    str, typer.Argument(metavar="VERSION", help="As `freshet model list` shows it, such as 1.4.0."), VERSION
]
Noted = Annotated[
    str, typer.Argument(metavar="VERSION", help="Such as 1.4.0; or the whole id of a training."), Checked(noted)
]
ExpectEpoch = Annotated[
    int | None, typer.Option(metavar="NUMBER", help="Refuse if another epoch is live: somebody was quicker.")
]
Expires = Annotated[str, typer.Option(metavar="5m", help="Do not carry it out after so long.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the registry's decision.")]
Text = Annotated[str, typer.Argument(help="What to note.")]
Tag = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="May be repeated.")]
Why = Annotated[str, typer.Option("--text", help="Why, for the history.")]


@dataclass(frozen=True, slots=True)
class Asking:
    """Whom a command is for, and how: the options that all of them have."""

    pipeline: str
    expires: str
    wait: bool
    bootstrap: str | None
    namespace: str
    as_json: bool

    def ask(self, action: Action, version: str = "", text: str = "", expected_epoch: int | None = None) -> None:
        """Publish the command, print the decision on it, and exit with what that says."""
        connection, expires_ms = connect(self.bootstrap, self.namespace), duration_ms(self.expires, "--expires")
        published(connection, self.pipeline)  # a misspelt name would be waited for until it expires
        asked = commands.command(
            self.pipeline,
            action,
            expires_ms=expires_ms,
            version=version,
            text=text,
            expected_epoch=expected_epoch,
        )
        document = {"command_id": asked.command_id}
        if not self.wait:
            commands.send(connection, asked)
            emit(document, f"asked, as command {asked.command_id}.", as_json=self.as_json)
            return
        try:
            decision = commands.decided(connection, asked, expires_ms)
        except KeyboardInterrupt:
            raise typer.Exit(Exit.INTERRUPTED) from None
        found = {"verdict": decision.verdict, "reason": decision.reason, "epoch": decision.epoch}
        emit(document | found, f"{decision.verdict}: {decision.reason}", as_json=self.as_json)
        raise typer.Exit(Exit.OK if decision.verdict == "done" else Exit.CONFLICT)


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
    asking = Asking(pipeline, expires, wait, bootstrap, namespace, as_json)
    asking.ask("promote", version, expected_epoch=expect_epoch)


@reporting
def rollback(
    pipeline: Pipeline,
    to: Annotated[str, typer.Option(metavar="VERSION", help="By default the one that answered before."), VERSION] = "",
    expect_epoch: ExpectEpoch = None,
    expires: Expires = "5m",
    wait: Wait = True,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Let an earlier version answer again: at once if workers hold it, else once they have loaded it.

    Exits with 5 unless the registry does it.
    """
    asking = Asking(pipeline, expires, wait, bootstrap, namespace, as_json)
    asking.ask("rollback", to, expected_epoch=expect_epoch)


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
    Asking(pipeline, expires, wait, bootstrap, namespace, as_json).ask("pause", expected_epoch=expect_epoch)


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
    Asking(pipeline, expires, wait, bootstrap, namespace, as_json).ask("resume", expected_epoch=expect_epoch)


@reporting
def retire(
    version: Version,
    pipeline: Pipeline,
    text: Why = "",
    expires: Expires = "5m",
    wait: Wait = True,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Never let a version answer again. Refused while something still needs it."""
    Asking(pipeline, expires, wait, bootstrap, namespace, as_json).ask("retire", version, text)


@reporting
def reinstate(
    version: Version,
    pipeline: Pipeline,
    text: Why = "",
    expires: Expires = "5m",
    wait: Wait = True,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Take a version back from quarantine: it is admitted again, and answers once it is promoted."""
    Asking(pipeline, expires, wait, bootstrap, namespace, as_json).ask("reinstate", version, text)


@reporting
def note(
    version: Noted,
    pipeline: Pipeline,
    text: Text = "",
    tag: Tag = None,
    expires: Expires = "5m",
    wait: Wait = True,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Note something in a version's history, or tag it. `--tag KEY=` takes a tag away."""
    asking = Asking(pipeline, expires, wait, bootstrap, namespace, as_json)
    asking.ask(NOTE, version, note_text(text, tag or ()))
