"""`freshet reproduce`: make a version's model again, and see whether it is the same."""

import threading
from dataclasses import asdict
from typing import Annotated

import typer

from freshet.cli.output import PIPELINE, Bootstrap, Exit, Json, Namespace, connect, emit, reporting, say, settings
from freshet.operate.facts import ledger_of, published
from freshet.operate.operate_error import OperateError
from freshet.operate.training_runs import find, trainings
from freshet.retraining.reproduction import reproduce as trained_again
from freshet.runtime.bus.protocol import Bus


@reporting
def reproduce(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A version, or its training's id.")],
    pipeline: Annotated[str, typer.Option(help="Whose model."), PIPELINE],
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Train a version again, from its recorded rows, parameters and seed, and compare the two models by their digests.

    It runs here, for as long as the training took, and publishes nothing. Exits with 0 if the models are the same to
    the byte, with 4 if not: then the reason is told. With 1 if it could not be trained, as when rows have expired.
    """
    connection = connect(bootstrap, namespace)
    published(connection, pipeline)  # a misspelt name would have no trainings
    run = find(trainings(connection.bus(), pipeline), version)
    record = run.last
    if run.model is None or record.phase != "finished":
        raise OperateError(f"training {record.training} has given no model to compare with: {run.outcome}.", "usage")
    spec = _specification(connection.bus(), pipeline, record.specification)
    say(f"training {record.training} again: {record.trainer} on {record.rows:,} rows …")
    programs = settings(bootstrap, namespace=namespace).trainer_programs
    found = trained_again(record, run.model, spec, connection.bus(pipeline), threading.Event(), programs=programs)
    emit({**asdict(found), "same": found.same, "sentence": found.sentence}, found.sentence, as_json=as_json)
    raise typer.Exit(Exit.OK if found.same else Exit.CHECK)


def _specification(bus: Bus, pipeline: str, number: int) -> str:
    """The text of this specification of the pipeline."""
    record = ledger_of(bus, "pipelines").of(pipeline).specifications.get(number)
    if record is not None:
        return record.spec
    raise OperateError(f"specification {number} of {pipeline}, for which it was trained, is not published any more.")
