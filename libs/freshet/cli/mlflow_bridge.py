"""`freshet export mlflow` and `freshet import mlflow`: runs into an MLflow store, and models out of one."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from freshet.cli.model.pack import pack
from freshet.cli.output import PIPELINE, Bootstrap, Force, Json, Namespace, connect, emit, reporting, say
from freshet.ledger.ledger import Ledger
from freshet.models.contract import TOLERANCE
from freshet.operate.facts import published, read
from freshet.operate.mlflow_runs import run_records
from freshet.operate.quality.series_quality import Evaluations
from freshet.operate.training_runs import runs_of

export_app = typer.Typer(help="Write what is known of a pipeline into other tools.", no_args_is_help=True)
import_app = typer.Typer(help="Take models from other tools.", no_args_is_help=True)

Store = Annotated[
    str,
    typer.Option(
        "--store", envvar="MLFLOW_TRACKING_URI", metavar="URI", help="sqlite:///mlflow.db, or a server's address."
    ),
]


@export_app.callback()
def export_group() -> None:
    """Write what is known of a pipeline into other tools."""


@import_app.callback()
def import_group() -> None:
    """Take models from other tools."""


@export_app.command("mlflow")
@reporting
def export(
    pipeline: Annotated[str, typer.Option(help="Whose trainings and versions."), PIPELINE],
    store: Store,
    experiment: Annotated[str, typer.Option(help="By default the pipeline's name, with its namespace.")] = "",
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Write a run into MLflow for each training, and for each version that somebody packed.

    Parameters, rows, digests, cause and gate; the figures of candidate and champion; and how good a version has been
    since it answers (`served.accuracy`, a point for each evaluation). Called again, it adds what is new.
    """
    from freshet.operate.mlflow_store import write_runs  # noqa: PLC0415 (needs mlflow)

    connection = connect(bootstrap, namespace)
    published(connection, pipeline)
    facts = read(connection.bus(), "trainings", "models", "decisions", "evaluations")
    evaluations = Evaluations(pipeline)
    evaluations.take(facts)
    versions = Ledger(facts).of(pipeline).versions.records.values()
    records = run_records(f"{namespace}{pipeline}", runs_of(facts, pipeline), versions, evaluations.records)
    done = write_runs(store, experiment or f"{namespace}{pipeline}", records)
    shown = f"{done.created} runs are new, {done.updated} brought up to date, {done.unchanged} as they were."
    emit({**done._asdict(), "store": store}, shown, as_json=as_json)


@import_app.command("mlflow")
@reporting
def import_model(
    model: Annotated[str, typer.Argument(metavar="URI", help="runs:/ID/model, models:/NAME/3, models:/NAME@ALIAS.")],
    pipeline: Annotated[str, typer.Option(metavar="FOLDER|NAME", help="Its folder, or its name if it is published.")],
    sample: Annotated[Path, typer.Option(metavar="ROWS.csv", help="Rows like those it will see: events, or features.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where to write the bundle.")],
    store: Store,
    columns: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="As for `freshet model pack`; so are the next ones.")
    ] = None,
    label: Annotated[list[str] | None, typer.Option(metavar="LABEL=CLASS|CLASS")] = None,
    expected: Annotated[Path | None, typer.Option(metavar="SCORES.csv")] = None,
    output_name: Annotated[str | None, typer.Option(metavar="NAME")] = None,
    max_gap: Annotated[float, typer.Option(metavar="GAP", min=0)] = TOLERANCE,
    force: Force = False,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Pack a model (of the flavour sklearn or onnx) of an MLflow store, as `freshet model pack` does.

    Its lineage names where it came from. Reading an sklearn model runs code that it names: it must be yours.
    """
    from freshet.operate.mlflow_store import fetch_model  # noqa: PLC0415 (needs mlflow)

    with TemporaryDirectory() as folder:
        file = fetch_model(store, model, Path(folder))
        say(f"fetched {model}")
        pack(
            file,
            pipeline,
            sample,
            output,
            columns=columns,
            label=label,
            expected=expected,
            output_name=output_name,
            max_gap=max_gap,
            lineage=[f"mlflow_model={model}"],
            force=force,
            bootstrap=bootstrap,
            namespace=namespace,
            as_json=as_json,
        )
