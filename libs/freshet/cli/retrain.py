"""`freshet retrain`: have a new model trained now."""

from typing import Annotated

import typer

from freshet.cli.output import PIPELINE, Bootstrap, Exit, Json, Namespace, connect, emit, reporting
from freshet.contracts.training_message import DRY_RUN
from freshet.operate import commands
from freshet.operate.asked_training import retrained
from freshet.operate.facts import published
from freshet.operate.times import duration_ms


@reporting
def retrain(
    pipeline: Annotated[str, typer.Option(help="Whose model."), PIPELINE],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done, and why not.")] = False,
    expires: Annotated[str, typer.Option(metavar="5m", help="Do not begin after so long.")] = "5m",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the training's end.")] = True,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Train a new model on the labelled log, as `retraining` in pipeline.yaml says. It becomes a candidate.

    Neither cool-down nor the day's budget keep it back. Exits with 5 if there is no training, with 1 if it fails.
    """
    connection, expires_ms = connect(bootstrap, namespace), duration_ms(expires, "--expires")
    published(connection, pipeline)  # a misspelt name would be waited for until it expires
    asked = commands.command(pipeline, "retrain", expires_ms=expires_ms, text=DRY_RUN if dry_run else "")
    if not wait:
        commands.send(connection, asked)
        emit({"command_id": asked.command_id}, f"asked, as command {asked.command_id}.", as_json=as_json)
        return
    try:
        last = retrained(connection, asked, expires_ms)
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None
    document = {"command_id": asked.command_id, **last.model_dump(mode="json")}
    if last.phase == "finished":
        shown = (
            f"training {last.training} has finished: it learned from {last.rows:,} rows, and was tried on "
            f"{last.holdout_rows:,}; gate: {last.gate}. `freshet trainings show {last.training[:8]} --pipeline "
            f"{pipeline}` tells everything."
        )
    else:
        shown = f"{last.phase}: {last.reason}"
    emit(document, shown, as_json=as_json)
    planned = dry_run and last.phase == "skipped" and last.reason.startswith(DRY_RUN)
    raise typer.Exit(Exit.OK if planned else _EXITS[last.phase])


_EXITS = {"finished": Exit.OK, "failed": Exit.FAILURE, "skipped": Exit.CONFLICT}
