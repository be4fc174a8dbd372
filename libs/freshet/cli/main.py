"""`freshet`: the one command, with a noun or a verb for each thing that can be done."""

import errno
import io
import json
import os
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, cast

import typer
from typer.exceptions import TyperException
from typer.rich_utils import rich_format_error

from freshet.cli.lazy import lazy_app

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "demo": ("freshet.cli.demo:demo", "The main job end to end on a real Kafka, told step by step."),
    "stream": ("freshet.cli.stream:stream", "Serve a table of yours end to end."),
    "local": ("freshet.cli.local:app", "A Kafka of this folder, for trying things out."),
    "topics": ("freshet.cli.topics:app", "Topics as code: what schemas/topics.yaml says, on a cluster."),
    "rights": ("freshet.cli.rights_command:app", "What each user may do on a Kafka that asks for it."),
    "schemas": ("freshet.cli.schemas:app", "Avro schemas: what services agree on."),
    "pipeline": ("freshet.cli.pipeline:app", "Pipelines: one folder per use case."),
    "test": ("freshet.cli.own_tests:app", "Your own tests of a pipeline: sample events and recorded rows."),
    "apply": ("freshet.cli.apply:apply", "Publish a pipeline: a folder becomes a use case that runs."),
    "up": ("freshet.cli.up:up", "Apply a pipeline and run all that it needs, in one terminal."),
    "run": ("freshet.cli.run:run", "Run a service."),
    "predict": ("freshet.cli.predict:predict", "Send one event, and print its features and its answer."),
    "replay": ("freshet.cli.replay:replay", "Publish the rows of a CSV file as events, and their labels later."),
    "topic": ("freshet.cli.topic:app", "Look at the records of a topic."),
    "dead-letters": ("freshet.cli.dead_letters:app", "Events that were set aside: look at them, send them again."),
    "model": ("freshet.cli.model.group:app", "Models: pack, publish, promote, roll back."),
    "key": ("freshet.cli.key:app", "Keys that sign models and epochs."),
    "export": ("freshet.cli.mlflow_bridge:export_app", "Write runs, versions and figures into MLflow."),
    "import": ("freshet.cli.mlflow_bridge:import_app", "Pack a model of an MLflow store."),
    "retrain": ("freshet.cli.retrain:retrain", "Have a new model trained on the labelled log."),
    "trainings": ("freshet.cli.trainings:app", "Every training, and every reason why there was none."),
    "reproduce": ("freshet.cli.reproduce:reproduce", "Train a version again, and see whether it is the same model."),
    "explain": ("freshet.cli.explain:explain_command", "Why an event got its answer: model, training, approval."),
    "verify": ("freshet.cli.verify:verify", "Judge from the topics alone whether the promises were kept."),
    "lag": ("freshet.cli.lag:show", "How far each service is behind, in records and seconds."),
    "observe": ("freshet.cli.observe:observe", "Serve lag, freshness, quality and alarms to Prometheus."),
    "quality": ("freshet.cli.quality:show", "How good the answers are: versions, slices and baselines, over time."),
    "score": ("freshet.cli.score:score", "How right each model version was, from predictions and labels."),
    "profile": ("freshet.cli.profile_command:app", "What features and answers look like, and what has changed."),
    "alarms": ("freshet.cli.alarms:app", "What detectors say has changed: list it, look at one, find it again."),
    "doctor": (
        "freshet.cli.doctor:doctor",
        "What is installed, set, reachable and published, and what to do about it.",
    ),
}

_EXTRAS: Final[Mapping[str, str]] = {
    "joblib": "pack",
    "alembic": "mlflow",
    "cryptography": "trust",
    "lightgbm": "pack",
    "mlflow": "mlflow",
    "sqlalchemy": "mlflow",
    "onnx": "registry",
    "onnxruntime": "inference",
    "river": "drift",
    "scipy": "drift",
    "skl2onnx": "pack",
    "pyarrow": "tables",
    "sklearn": "pack",
}
"""Which extra brings a package that a plain installation leaves out."""

app = lazy_app(
    "Streaming machine learning on Kafka: models arrive as data, every event is answered exactly once.",
    COMMANDS,
    completion=True,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"freshet {version('freshet')}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,  # noqa: ARG001
    print_version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What holds for every command. `main` has already looked for --debug, in any place, and taken it away."""
    import structlog  # noqa: PLC0415 (help does without)

    before = structlog.get_config()["processors"]
    structlog.configure(
        processors=[_OneRefusal(), *(one for one in before if not isinstance(one, _OneRefusal))],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),  # stdout is for data
    )


class _OneRefusal:
    """Lets one line through about control records that cannot be read: the rest is for the logs of services."""

    def __init__(self) -> None:
        self._told = False

    def __call__(self, _logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        import structlog  # noqa: PLC0415

        if line.get("event") in ("control_record_refused", "control_records_refused"):
            if self._told:
                raise structlog.DropEvent
            self._told = True
        return line


_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Of an OSError: the disk has no room, or not for us."""
_NOBODY_READS: Final = 141  # Exit.NOBODY_READS, whose module is not loaded for this


def main() -> None:
    """Entry point. Exit codes: 0 ok, 1 failure, 2 usage, 3 no broker, 4 a check failed, 5 conflict, 130 interrupted.

    141: whoever read the output has closed it, as `head` does.
    """
    _make_streams_safe()
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    try:
        # left to itself, typer prints wrong usage and exits: with --json that is no document
        sys.exit(typer.main.get_command(app)(prog_name="freshet", standalone_mode=debug) or 0)
    except TyperException as error:
        rich_format_error(cast(Any, error))  # annotated as a class that typer keeps to itself
        _fail(error.format_message(), error.exit_code)
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer makes a failure of it
            sys.exit(_NOBODY_READS)
        if debug and end.code:
            traceback.print_exception(end)
        raise
    except Exception as error:
        if debug:
            raise
        message = _unexpected(error)
        print(f"error: {message}", file=sys.stderr)  # noqa: T201 (rich itself may be what is broken)
        _fail(message, 1)


def _make_streams_safe() -> None:
    """A locale without our arrows gets them escaped, and whoever has closed stdin gets nothing from it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if sys.stdin is None:
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 (it stays open to the end)


def _fail(message: str, code: int) -> NoReturn:
    """End a command that never came to run, or broke; what went wrong is on stderr already."""
    try:
        if "--json" in sys.argv:
            print(json.dumps({"error": message, "exit_code": code}, ensure_ascii=False, indent=2))  # noqa: T201
        sys.stdout.flush()
    except OSError:  # the output is what is full: what is left of it would fail again at the interpreter's end
        sys.stdout = None
    sys.exit(code)


def _unexpected(error: Exception) -> str:
    missing = error.name.partition(".")[0] if isinstance(error, ModuleNotFoundError) and error.name else ""
    if missing in _EXTRAS:
        return f"this needs {missing}, which is not installed: pip install 'freshet[{_EXTRAS[missing]}]'."
    if isinstance(error, OSError) and error.errno in _FULL:
        named = f"{error.filename} cannot" if error.filename else "the output, or a file, cannot"
        return f"{named} be written: {error.strerror}. Make room, and run the command again."
    if isinstance(error, OSError) and error.strerror and not isinstance(error, ConnectionError):
        if error.filename:
            return f"{error.filename} cannot be used: {error.strerror}. Look at the path and its rights."
        return f"{error.strerror}, says this machine; --debug shows what was wanted."
    return (
        f"{type(error).__name__}: {error}. Freshet did not expect this, so it is probably a bug in it: run the command "
        "again with --debug, and report the traceback."
    )
