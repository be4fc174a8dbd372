"""What every command shares: where Kafka is, what goes to stdout and stderr, and how an error ends the process.

Data go to stdout, as a table or with `--json` as one document; progress and errors go to stderr.
"""

import functools
import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, ParamSpec, TypeVar

import typer
from rich.console import Console, RenderableType
from rich.table import Table

from freshet.contracts.errors import ContractError, FreshetError
from freshet.contracts.name_rules import pipeline_name, pipeline_names, version_number
from freshet.models.model_error import ModelError
from freshet.operate.broker_record import ADMIN
from freshet.operate.connection import Connection, local_broker, settings_for
from freshet.operate.connection import connect as open_connection
from freshet.operate.operate_error import Meaning, OperateError
from freshet.pipeline import PipelineError
from freshet.pipeline.record import PipelineConflictError
from freshet.runtime.bus.kafka.admin_errors import RefusedLoginError
from freshet.runtime.bus.protocol import RetriableError, RightsError
from freshet.runtime.provision import TopicConflictError
from freshet.runtime.settings import BOOTSTRAP_VARIABLE, Settings, SettingsError

P = ParamSpec("P")
R = TypeVar("R")

_PIPED_WIDTH: Final = 240  # a file or pipe has no width; cut no cell there


@dataclass(frozen=True, slots=True)
class Checked:
    """Beside a parameter's option: `reporting` refuses, as wrong usage, what this rule raises ContractError for.

    The default is not asked about; of a list, each item is.
    """

    rule: Callable[[str], object]


PIPELINE: Final = Checked(pipeline_name)
"""The parameter names a pipeline."""
PIPELINES: Final = Checked(pipeline_names)
"""The parameter names several, parted by commas."""
VERSION: Final = Checked(version_number)
"""The parameter is the number of a version."""


class Exit(IntEnum):
    """What a command's exit code means; stable, for scripts."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    UNREACHABLE = 3
    CHECK = 4
    CONFLICT = 5
    INTERRUPTED = 130
    NOBODY_READS = 141
    """Whoever read the output has closed it, as `head` does: what a shell calls SIGPIPE."""


_EXITS: Final[Mapping[Meaning, Exit]] = {
    "usage": Exit.USAGE,
    "unreachable": Exit.UNREACHABLE,
    "refused": Exit.CHECK,
    "failed": Exit.FAILURE,
    "conflict": Exit.CONFLICT,
}

Bootstrap = Annotated[
    str | None,
    typer.Option(
        "--bootstrap",
        envvar=BOOTSTRAP_VARIABLE,
        metavar="HOST:PORT,…",
        help="Kafka's address. By default the local broker of this folder.",
    ),
]
Namespace = Annotated[
    str, typer.Option(envvar="FRESHET_NAMESPACE", metavar="PREFIX", help="Prefix of all names, such as `dev.`.")
]
Secure = Annotated[
    bool,
    typer.Option("--secure", help="A broker with TLS, a password for each user, and only the rights that each needs."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


Force = Annotated[bool, typer.Option("--force", help="Write over what is there, whatever it is.")]


def connect(bootstrap: str | None, namespace: str = "") -> Connection:
    """The cluster that the options, the environment or this folder's local broker name; raises UnreachableError.

    Security settings come from FRESHET_KAFKA, as for the services; on a secured broker of this folder, without that,
    from its administrator's login. What takes long there is told on stderr.
    """
    return open_connection(settings(bootstrap, namespace=namespace), say)


def settings(bootstrap: str | None, principal: str = ADMIN, **given: object) -> Settings:
    """What options, environment and this folder's local broker say, without asking any broker.

    A secured broker of this folder is logged in to as the principal, unless FRESHET_KAFKA says how.
    """
    return settings_for(bootstrap or local_broker(), principal, **given)


def shown_text(text: str | bytes | None) -> str:
    """Foreign text for one line of output: what is not printable is escaped as JSON has it, so that no terminal obeys
    it and JSON stays JSON; bytes that are no UTF-8 become U+FFFD, None becomes empty.
    """
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text or "")


def shown_lines(text: str) -> str:
    """`shown_text` of each line."""
    return "\n".join(map(shown_text, text.split("\n")))


class SafeTable(Table):
    """A table whose cells may hold foreign text."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """See `Table`; text goes through `shown_lines`."""
        super().add_row(*(shown_lines(cell) if isinstance(cell, str) else cell for cell in cells), **options)


def emit(document: Any, shown: RenderableType, *, as_json: bool) -> None:
    """Print the command's result: the document as JSON, or else what a person reads."""
    if as_json:
        typer.echo(shown_lines(json.dumps(document, ensure_ascii=False, indent=2)))
        return
    shown = shown_lines(shown) if isinstance(shown, str) else shown
    wide_console().print(shown, markup=False, soft_wrap=not isinstance(shown, Table))


def wide_console(*, stderr: bool = False) -> Console:
    """Where results are printed: as wide as the terminal, or else wide enough for every table."""
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=_PIPED_WIDTH)


def table(*columns: str) -> Table:
    """An empty table in the house style."""
    made = SafeTable(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column)
    return made


def filled_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table of these rows."""
    made = table(*columns)
    for row in rows:
        made.add_row(*row)
    return made


def say(text: str) -> None:
    """Progress, on stderr."""
    Console(stderr=True, highlight=False).print(shown_lines(text), markup=False, soft_wrap=True, style="dim")


def write_file(file: Path, text: str) -> None:
    """Write what was asked for. Raises OperateError where the file cannot be written."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        where = "" if file.parent.is_dir() else f" There is no folder {file.parent}: make it first."
        raise OperateError(f"{file} cannot be written: {error.strerror}.{where}", "usage") from error


def fail(error: FreshetError | str, code: Exit = Exit.FAILURE, *, as_json: bool = False) -> NoReturn:
    """Print an error on stderr, with `--json` also as the document on stdout, and end the command with this code."""
    Console(stderr=True, highlight=False).print(
        shown_lines(f"error: {error}"), markup=False, soft_wrap=True, style="red"
    )
    if as_json:
        emit({"error": str(error), "exit_code": int(code)}, "", as_json=True)
    raise typer.Exit(code)


def exit_code(error: FreshetError) -> Exit:
    """The exit code of an error."""
    if isinstance(error, OperateError):
        return _EXITS[error.meaning]
    if isinstance(error, ModelError):  # a folder that is not there, or holds none, as any other file
        return Exit.USAGE if error.reason == "bundle_unreadable" else Exit.FAILURE
    if isinstance(error, SettingsError | RightsError | RefusedLoginError):
        return Exit.USAGE
    if isinstance(error, RetriableError):
        return Exit.UNREACHABLE
    if isinstance(error, PipelineConflictError | TopicConflictError):
        return Exit.CONFLICT
    return Exit.CHECK if isinstance(error, PipelineError) else Exit.FAILURE


def reporting(command: Callable[P, R]) -> Callable[P, R]:
    """Decorates a command: what goes wrong is told in sentences, without a traceback, and gives the right exit code.

    What cannot be a name is refused before anything is asked for it; see `Checked`.
    """
    signature = inspect.signature(command)
    rules = {
        name: marker.rule
        for name, parameter in signature.parameters.items()
        for marker in getattr(parameter.annotation, "__metadata__", ())
        if isinstance(marker, Checked)
    }

    def check(given: Mapping[str, Any]) -> None:
        for name, rule in rules.items():
            value = given.get(name, signature.parameters[name].default)
            if value != signature.parameters[name].default:
                for text in value if isinstance(value, list) else [value]:
                    rule(text)

    @functools.wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            check(signature.bind_partial(*arguments, **options).arguments)
        except ContractError as error:
            fail(error, Exit.USAGE, as_json=bool(options.get("as_json")))
        try:
            return command(*arguments, **options)
        except FreshetError as error:
            fail(error, exit_code(error), as_json=bool(options.get("as_json")))
        except typer.Abort as declined:
            code = Exit.INTERRUPTED if isinstance(declined.__context__, KeyboardInterrupt) else Exit.FAILURE
            # commands ask nothing but whether they shall delete
            fail("nothing was deleted.", code, as_json=bool(options.get("as_json")))

    return run
