"""`freshet retrain`: have a new model trained now."""

from typing import Annotated

import typer

from freshet.cli.output import PIPELINE, Bootstrap, Exit, Json, Namespace, connect, emit, reporting
from freshet.contracts.training_message import DRY_RUN, Training
from freshet.operate import commands
from freshet.operate.asked_training import retrained
from freshet.operate.candidate_fate import Fate, fate_of
from freshet.operate.facts import published
from freshet.operate.times import duration_ms


@reporting
def retrain(
    pipeline: Annotated[str, typer.Option(help="Whose model."), PIPELINE],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done, and why not.")] = False,
    expires: Annotated[str, typer.Option(metavar="5m", help="Do not begin after so long.")] = "5m",
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait for the training's end, and for what becomes of its model.")
    ] = True,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Train a new model on the labelled log, as `retraining` in pipeline.yaml says. It becomes a candidate.

    Neither cool-down nor the day's budget keep it back. Exits with 5 if there is no training, with 1 if it fails, and
    with 4 if the registry refuses its model. A model that fails its gate is there, and waits: that is no error.
    """
    connection, expires_ms = connect(bootstrap, namespace), duration_ms(expires, "--expires")
    published(connection, pipeline)  # a misspelt name would be waited for until it expires
    asked = commands.command(pipeline, "retrain", expires_ms=expires_ms, text=DRY_RUN if dry_run else "")
    if not wait:
        commands.send(connection, asked)
        emit({"command_id": asked.command_id}, f"asked, as command {asked.command_id}.", as_json=as_json)
        return
    fate = None
    try:
        last = retrained(connection, asked, expires_ms)
        if last.phase == "finished":
            connection.say(f"training {last.training} has finished; waiting for the registry's verdict …")
            fate = fate_of(connection, last)
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None
    document = {"command_id": asked.command_id, **last.model_dump(mode="json"), **_model(fate)}
    emit(document, _shown(last, fate), as_json=as_json)
    planned = dry_run and last.phase == "skipped" and last.reason.startswith(DRY_RUN)
    refused = fate is not None and fate.refused
    raise typer.Exit(Exit.CHECK if refused else Exit.OK if planned else _EXITS[last.phase])


def _model(fate: Fate | None) -> dict[str, object]:
    if fate is None:
        return {"model": None}
    model = fate.model
    return {"model": {"version": model.version, "state": model.state, "reason": model.reason, "live": fate.live}}


def _shown(last: Training, fate: Fate | None) -> str:
    if fate is None:
        return f"{last.phase}: {last.reason}"
    return (
        f"training {last.training} has finished: it learned from {last.rows:,} rows, and was tried on "
        f"{last.holdout_rows:,}; gate: {last.gate}. {fate.told}\n`freshet trainings show {last.training[:8]} "
        f"--pipeline {last.pipeline}` tells everything."
    )


_EXITS = {"finished": Exit.OK, "failed": Exit.FAILURE, "skipped": Exit.CONFLICT}
